package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/config"
)

func newPolicy() *cobra.Command {
	policy := &cobra.Command{
		Use:     "policy",
		GroupID: "offline",
		Short:   "Show analysis policies",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var output string
	show := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Print the built-in policy, every field documented",
		Long: `Show prints the built-in analysis policy as a manifest in which every field says
what it means, its unit and its default. Save it under another name, change what
you need, and name it in spec.analysis.policy.`,
		Example:           "  sluice policy show standard > strict.yaml\n  sluice policy show standard -o json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{config.DefaultPolicy}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] != config.DefaultPolicy {
				return failure(fmt.Errorf("policy %q: is not built in; only %q is", args[0], config.DefaultPolicy))
			}
			if output != "" {
				return printObject(cmd.OutOrStdout(), output, config.Standard())
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.StandardYAML())
			return failure(err)
		},
	}
	outputFlag(show, &output)
	policy.AddCommand(show)
	return policy
}

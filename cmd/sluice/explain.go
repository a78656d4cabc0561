package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/cmd/sluice/live"
)

func newExplain() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "explain [NAMESPACE/]NAME",
		GroupID: "look",
		Short:   "Why a rollout waits, was held or ended: one sentence a fact",
		Long: `Explain says what an inference route waits for, what would change the verdict, and
for every test what was observed, the limit, the numbers it rests on, and the evidence
now against the evidence needed (natural logarithms of e-values, valid at every look).`,
		Example: "  sluice explain ml/filetype",
		Args:    oneRoute,
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	outputFlag(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, key, err := t.find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		s, err := client.Get(cmd.Context(), key)
		if err != nil {
			return failure(err)
		}
		if output != "" {
			return printObject(cmd.OutOrStdout(), output, s)
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), live.Explain(s, live.LookOf(os.Getenv, terminalOf(cmd.OutOrStdout()))))
		return failure(err)
	}
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/config"
)

func newRoute() *cobra.Command {
	route := &cobra.Command{
		Use:     "route",
		GroupID: "offline",
		Short:   "Show what an inference route can say",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	route.AddCommand(&cobra.Command{
		Use:   "fields",
		Short: "Print every field of an InferenceRoute, documented",
		Long: `Fields prints every field of an InferenceRoute in the form of a manifest: what it means,
its unit, its default, the words it takes, and whether it is required. Those of an
AnalysisPolicy are in 'sluice policy show standard'.`,
		Example: "  sluice route fields | less\n  sluice route fields | grep -A3 rollbackWindow",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.RouteFields())
			return failure(err)
		},
	})
	return route
}

package main

import (
	"github.com/spf13/cobra"
)

const rootHelp = `Sluice moves inference traffic between versions of a model, on evidence.

It programs Envoy over xDS, reads Envoy's own access logs back, and promotes a
candidate or rolls it back within seconds, with tests that stay valid however
often they are looked at.

Without a cluster:
  sluice run -f routes/ --envoy auto    start the control plane, and an Envoy
  sluice get                            every inference route in a line
  sluice status ml/filetype -w          one rollout, live
  sluice explain ml/filetype            why it waits, in one sentence a metric

Before it runs:
  sluice lint -f routes/                every mistake at once
  sluice render -f routes/              what Envoy would be told
  sluice route fields                   every field of an inference route, documented
  sluice policy show standard           the built-in analysis policy, documented
  sluice plan -f filetype.yaml          how long each step takes, at least and likely
  sluice simulate --rps 200             what a policy does to good and bad versions
  sluice replay --requests day.jsonl --stable v1 --candidate v2
                                        what it would have done to recorded requests

A NAME without a NAMESPACE/ is default's, or the only one that is called so.
` + exitHelp

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "sluice",
		Short:         "Progressive delivery of models through Envoy, on evidence",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: "serve", Title: "Serving:"},
		&cobra.Group{ID: "look", Title: "Looking:"},
		&cobra.Group{ID: "act", Title: "Acting on a rollout:"},
		&cobra.Group{ID: "offline", Title: "Without a control plane:"},
	)
	root.AddCommand(newRun(), newDown())
	root.AddCommand(newGet(), newStatus(), newExplain(), newProxies(), newReview())
	root.AddCommand(newVerbs()...)
	root.AddCommand(newOutcomes())
	root.AddCommand(newLint(), newRender(), newBootstrap(), newRoute(), newPolicy(), newVersion())
	root.AddCommand(newPlan(), newSimulate(), newReplay(), newAACheck())
	return root
}

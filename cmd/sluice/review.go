package main

import (
	"github.com/spf13/cobra"
)

func newReview() *cobra.Command {
	var rollout, output string
	cmd := &cobra.Command{
		Use:     "review [NAMESPACE/]NAME",
		GroupID: "look",
		Short:   "Print the review of a rollout",
		Long: `Review prints what changed, who was exposed, what every test saw and what was decided
when. The JSON carries a hash of its own content. The files of ended rollouts are in
the state folder under reviews/NAMESPACE/NAME/ROLLOUT/.`,
		Example: "  sluice review ml/filetype -o html > review.html\n  sluice review ml/filetype --rollout v3-3-2",
		Args:    oneRoute,
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	cmd.Flags().StringVar(&rollout, "rollout", "", "id of the rollout (default: the newest)")
	output = "json"
	choose(cmd, &output, "output", "o", "form of the review", "json", "yaml", "html")
	if err := cmd.RegisterFlagCompletionFunc("rollout", t.completeOf(rolloutsOf)); err != nil {
		panic(err) // the flag was added above
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := parseKey(args[0])
		if err != nil {
			return err
		}
		client, err := t.client()
		if err != nil {
			return err
		}
		r, err := client.Review(cmd.Context(), key, rollout)
		if err != nil {
			return failure(err)
		}
		if output != "html" {
			return printObject(cmd.OutOrStdout(), output, r)
		}
		page, err := r.HTML()
		if err != nil {
			return failure(err)
		}
		_, err = cmd.OutOrStdout().Write(page)
		return failure(err)
	}
	return cmd
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/review"
)

func newReview() *cobra.Command {
	var rollout, file, output string
	cmd := &cobra.Command{
		Use:     "review [NAMESPACE/]NAME | --file FILE",
		GroupID: "look",
		Short:   "Print the review of a rollout",
		Long: `Review prints what changed, who was exposed, what every test saw and what was decided
when. The files of ended rollouts are in the state folder under
reviews/NAMESPACE/NAME/ROLLOUT/. The JSON carries a hash of its own content: the SHA-256, in
hex, of its text with an empty hash and no white space between its tokens. With --file
that of such a file is checked, and no control plane is asked: exit code 1 says that
something in it was changed. An approval names another one, gateHash.`,
		Example: "  sluice review ml/filetype -o html > review.html\n  sluice review ml/filetype --rollout v3-3-2\n  sluice review --file review.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return oneRoute(cmd, args)
			}
			return cobra.NoArgs(cmd, args)
		},
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	cmd.Flags().StringVar(&rollout, "rollout", "", "id of the rollout (default: the newest)")
	cmd.Flags().StringVar(&file, "file", "", "a review.json to check and print, instead of a rollout's")
	cmd.MarkFlagsMutuallyExclusive("file", "rollout")
	output = "json"
	choose(cmd, &output, "output", "o", "form of the review", "json", "yaml", "html")
	if err := cmd.RegisterFlagCompletionFunc("rollout", t.completeOf(rolloutsOf)); err != nil {
		panic(err) // the flag was added above
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var r review.Review
		var err error
		if file == "" {
			r, err = reviewOf(cmd.Context(), t, args[0], rollout)
		} else {
			r, err = reviewIn(file)
		}
		if err != nil {
			return failure(err)
		}
		return failure(printReview(cmd.OutOrStdout(), output, r))
	}
	return cmd
}

// reviewIn reads a review's file, whose hash must be that of its content.
func reviewIn(file string) (review.Review, error) {
	data, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return review.Review{}, err
	}
	r, err := review.Parse(data)
	if err != nil {
		return review.Review{}, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// reviewOf asks the control plane.
func reviewOf(ctx context.Context, t *target, route, rollout string) (review.Review, error) {
	client, key, err := t.find(ctx, route)
	if err != nil {
		return review.Review{}, err
	}
	return client.Review(ctx, key, rollout)
}

func printReview(out io.Writer, output string, r review.Review) error {
	if output != "html" {
		return printObject(out, output, r)
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	_, err = out.Write(page)
	return err
}

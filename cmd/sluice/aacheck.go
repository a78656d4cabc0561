package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/analysis/replay"
	"github.com/sluice-dev/sluice/config"
)

const aaCheckHelp = `Aa-check measures how often a policy rolls back what is surely as good as stable. Each
pod of a version takes the candidate's part against the version's other pods, anew for
every maxDuration of the recording, and is judged as a candidate would be, trip
included. What is rolled back is rolled back by chance, by a node that differs, or
because requests of one pod wait for one another longer than the policy's block lasts.

It also says how long a block must be: the shortest whose pods' latencies hardly depend
on the block before.

The recording is as 'sluice replay' reads it, with the pod in each line.`

func newAACheck() *cobra.Command {
	var c replay.CheckConfig
	var policy, requests, output string
	var skip bool
	cmd := &cobra.Command{
		Use:     "aa-check --requests FILE|- --version VERSION",
		GroupID: "offline",
		Short:   "Measure how often a policy rolls back equal pods, and how long its block must be",
		Long:    aaCheckHelp,
		Example: "  sluice aa-check --requests day.jsonl --version v1 --policy strict.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Policy, err = loadPolicy(policy); err != nil {
				return failure(err)
			}
			in, name, err := openInput(cmd, requests)
			if err != nil {
				return failure(err)
			}
			defer func() { _ = in.Close() }() // it was only read
			c.Name = name
			if skip {
				c.Bad = newComplaints(cmd.ErrOrStderr()).hear
			}
			bar := readingBar(cmd, requests)
			c.Progress = bar.read
			result, err := replay.Check(in, c)
			bar.clear()
			if err != nil {
				return failure(err)
			}
			if output != "" {
				return printObject(cmd.OutOrStdout(), output, result)
			}
			printChecked(cmd.OutOrStdout(), result)
			return nil
		},
	}
	cmd.Flags().StringVar(&policy, "policy", config.DefaultPolicy, "file with one analysis policy, or the name of the built-in one")
	cmd.Flags().StringVar(&requests, "requests", "", "file of requests, or - for standard input (required)")
	cmd.Flags().StringVar(&c.Version, "version", "", "version whose pods are compared (required)")
	cmd.Flags().BoolVar(&skip, "skip-bad", false, "pass over lines that are not as they should be, and name them on standard error")
	for _, name := range []string{"requests", "version"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was added just above
		}
	}
	outputFlag(cmd, &output)
	return cmd
}

func printChecked(w io.Writer, c replay.Checked) {
	fmt.Fprintf(w, "%d of %d pretended rollouts of %d pods were rolled back: ", c.RolledBack, c.Rollouts, c.Pods)
	share := c.FalseRollback
	fmt.Fprintf(w, "%.2f%% (95%% bounds %.2f%% to %.2f%%), where %s is promised; %d tripped, %d were ended by a trip; each lasted %s of at most %s\n",
		100*share.Value, 100*share.Low, 100*share.High, c.Promised, c.Tripped, c.ByTrip, c.Lasted, c.MaxDuration)
	for _, b := range c.Examples {
		fmt.Fprintf(w, "  %s at %s (%s): %s\n", b.Pod, replay.Moment(c.From, b.At), b.Metric, b.Reason)
	}
	if c.Block > 0 {
		fmt.Fprintf(w, "suggested unit.block: %s (the policy has %s)\n", c.Block, c.PolicyBlock)
	}
	for _, b := range c.Blocks {
		fmt.Fprintf(w, "  blocks of %s: correlation %.3f with the one before, of %d pairs\n", b.Length, b.Correlation, b.Pairs)
	}
	fmt.Fprintf(w, "  %d lines, to %s, %d of others, %d skipped\n", c.Lines, replay.Moment(c.From, c.To), c.Others, c.Skipped)
	for _, note := range c.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

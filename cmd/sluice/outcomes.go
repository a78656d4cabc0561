package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

func newOutcomes() *cobra.Command {
	outcomes := &cobra.Command{
		Use:     "outcomes",
		GroupID: "act",
		Short:   "Tell an A/B test what became of its users",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	outcomes.AddCommand(newOutcomesSend())
	return outcomes
}

func newOutcomesSend() *cobra.Command {
	var file, output string
	cmd := &cobra.Command{
		Use:   "send [NAMESPACE/]NAME -f FILE|-",
		Short: "Send outcomes from a file: clicks, labels, ratings",
		Long: `Send reads outcomes, one JSON object a line or one array of them, and sends them to the
A/B test that runs:

  {"unit": "alice", "outcome": "clicks", "value": 1}
  {"request": "6f1c…", "outcome": "rating", "value": 4, "time": "2026-11-25T12:00:00Z"}

unit is what stickiness names, such as the value of x-user-id; request is the x-request-id
of an answer. Without a time it happened now, and one that is equal in all parts to an
earlier one is the same: a file may be sent again.

Exit code 1: some were refused, and the others are taken. Those refused are named by their
place in the file, from 1: of many the first, and how many are not named.`,
		Example: "  sluice outcomes send ml/filetype -f clicks.jsonl\n  tail -n +1 -f clicks.jsonl | head -1000 | sluice outcomes send ml/filetype -f -",
		Args:    oneRoute,
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	cmd.Flags().StringVarP(&file, "file", "f", "", "where the outcomes are; - is standard input (required)")
	outputFlag(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return errors.New("--file: is missing: name a file, or - for standard input")
		}
		in, name, err := openInput(cmd, file)
		if err != nil {
			return failure(err)
		}
		defer in.Close()
		client, key, err := t.find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		sum, err := sendOutcomes(cmd, client, key, in)
		if err != nil {
			return failure(fmt.Errorf("%s: after %s: %w", name, count(sum.Taken, "outcome", "outcomes"), err))
		}
		return printReceipt(cmd, key, output, sum)
	}
	return cmd
}

// sendOutcomes sends all that there are, in parts. The sum counts from 1.
func sendOutcomes(cmd *cobra.Command, client *api.Client, key config.Key, in io.Reader) (sum controller.Receipt, err error) {
	reader := api.NewOutcomeReader(in)
	for sent := 0; ; {
		part, err := partOf(reader)
		if err != nil {
			return sum, fmt.Errorf("outcome %d: %w", sent+len(part)+1, err)
		}
		if len(part) == 0 {
			return sum, nil
		}
		receipt, err := client.Tell(cmd.Context(), key, part)
		if err != nil {
			return sum, err
		}
		sum.Test, sum.Taken, sum.Malformed = receipt.Test, sum.Taken+receipt.Taken, sum.Malformed+receipt.Malformed
		for _, r := range receipt.Refused {
			r.Index += sent + 1
			sum.Refused = append(sum.Refused, r)
		}
		sent += len(part)
	}
}

// partOf reads as many as are sent at once; none at the end.
func partOf(reader *api.OutcomeReader) (part []api.Outcome, err error) {
	for len(part) < api.MostOutcomes {
		o, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return part, nil
		}
		if err != nil {
			return part, err
		}
		part = append(part, o)
	}
	return part, nil
}

// printReceipt says what became of the outcomes.
func printReceipt(cmd *cobra.Command, key config.Key, output string, sum controller.Receipt) error {
	if output != "" {
		if err := printObject(cmd.OutOrStdout(), output, sum); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s taken for %s, %d refused\n",
		key, count(sum.Taken, "outcome", "outcomes"), orDash(sum.Test), sum.Malformed); err != nil {
		return failure(err)
	}
	for _, r := range sum.Refused {
		fmt.Fprintf(cmd.ErrOrStderr(), "outcome %d: %s\n", r.Index, r.Error)
	}
	if unnamed := sum.Malformed - len(sum.Refused); unnamed > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d more refused, and not named\n", unnamed)
	}
	if sum.Malformed > 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}

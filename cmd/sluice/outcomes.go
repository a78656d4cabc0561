package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"

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

Exit code 1: some were refused. They are named by their place in the file, from 1; the
others are taken.`,
		Example: "  sluice outcomes send ml/filetype -f clicks.jsonl\n  tail -n +1 -f clicks.jsonl | head -1000 | sluice outcomes send ml/filetype -f -",
		Args:    oneRoute,
	}
	t := targetFlags(cmd)
	cmd.ValidArgsFunction = t.completeRoutes(1)
	cmd.Flags().StringVarP(&file, "file", "f", "", "where the outcomes are; - is standard input (required)")
	outputFlag(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := parseKey(args[0])
		if err != nil {
			return err
		}
		if file == "" {
			return errors.New("--file: is missing: name a file, or - for standard input")
		}
		in, err := openInput(cmd, file)
		if err != nil {
			return failure(err)
		}
		defer in.Close()
		client, err := t.client()
		if err != nil {
			return err
		}
		sum, err := sendOutcomes(cmd, client, key, in)
		if err != nil {
			return failure(fmt.Errorf("%s: after %s: %w", file, count(sum.Taken, "outcome", "outcomes"), err))
		}
		return printReceipt(cmd, key, output, sum)
	}
	return cmd
}

// openInput opens a file, or standard input.
func openInput(cmd *cobra.Command, file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(file)
}

// outcomesAtOnce are sent in one request.
const outcomesAtOnce = 5000

// sendOutcomes sends all that there are, in parts. The sum counts from 1.
func sendOutcomes(cmd *cobra.Command, client *api.Client, key config.Key, in io.Reader) (sum controller.Receipt, err error) {
	next := outcomesIn(in)
	for sent, more := 0, true; more; {
		var part []api.Outcome
		if part, more, err = next(outcomesAtOnce); err != nil {
			return sum, fmt.Errorf("outcome %d: %w", sent+len(part)+1, err)
		}
		if len(part) == 0 {
			break
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
	return sum, nil
}

// outcomesIn reads an array, or objects one after the other, in parts of at most n, and
// says whether there may be more.
func outcomesIn(in io.Reader) func(n int) ([]api.Outcome, bool, error) {
	buffered := bufio.NewReader(in)
	decoder := json.NewDecoder(buffered)
	decoder.DisallowUnknownFields()
	begun, open := false, 0
	return func(n int) (part []api.Outcome, more bool, err error) {
		if !begun {
			begun = true
			if isArray(buffered) {
				open = 1
				_, err = decoder.Token()
			}
		}
		for len(part) < n && decoder.More() {
			var o api.Outcome
			if err := decoder.Decode(&o); err != nil {
				return part, false, err
			}
			if o.Value == nil {
				return part, false, errors.New("value: is missing")
			}
			part = append(part, o)
		}
		if err == nil && len(part) < n {
			err = endOf(decoder, open)
		}
		return part, len(part) == n, err
	}
}

// endOf says what is wrong where outcomes end and so many arrays are open.
func endOf(decoder *json.Decoder, open int) error {
	for range open {
		if _, err := decoder.Token(); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("is followed by something else")
	}
	return nil
}

// isArray looks at the first sign that is no space.
func isArray(in *bufio.Reader) bool {
	for {
		sign, _, err := in.ReadRune()
		if err != nil {
			return false
		}
		if !unicode.IsSpace(sign) {
			return in.UnreadRune() == nil && sign == '['
		}
	}
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
	if sum.Malformed > 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}

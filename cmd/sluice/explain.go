package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/controller"
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
		Args:    cobra.ExactArgs(1),
	}
	t := targetFlags(cmd)
	outputFlag(cmd, &output, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := parseKey(args[0])
		if err != nil {
			return err
		}
		client, err := t.client()
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
		explain(cmd.OutOrStdout(), s)
		return nil
	}
	return cmd
}

func explain(w io.Writer, s controller.Snapshot) {
	fmt.Fprintf(w, "%s: %s\n", s.State.Route, standing(s))
	if s.Refusal != "" {
		fmt.Fprintf(w, "  configuration: the newest one is not in force: %s\n", s.Refusal)
	}
	if n := s.State.Nack; n != nil {
		fmt.Fprintf(w, "  refused by %s at epoch %d: %s\n", n.Proxy, n.Epoch, n.Text)
	}
	if s.Gap != "" {
		fmt.Fprintf(w, "  signals: %s\n", s.Gap)
	}
	for _, wait := range s.Waits {
		fmt.Fprintf(w, "  waits for %s: %s\n", wait.Reason, wait.Text)
	}
	if s.Remedy != "" {
		fmt.Fprintf(w, "  what would change it: %s\n", s.Remedy)
	}
	if s.Ruling != nil {
		fmt.Fprintf(w, "  trip: %s; %d mirrored requests, evidence %.2f of %.2f nats\n", s.Ruling.Text, s.Ruling.N, s.Ruling.LogE, s.Ruling.LogNeeded)
	}
	if s.Assessment == nil {
		fmt.Fprintln(w, "  evidence: none was looked at yet")
		return
	}
	fmt.Fprintf(w, "  verdict %s: %s\n", s.Assessment.Verdict, s.Assessment.Reason)
	fmt.Fprintf(w, "  all rollback tests together: %.2f of %.2f nats\n", s.Assessment.LogE, s.Assessment.LogNeeded)
	for _, test := range s.Assessment.Tests {
		fmt.Fprintf(w, "  %s\n", sentence(test))
	}
}

// standing says in one sentence where the route stands.
func standing(s controller.Snapshot) string {
	r := s.State.Rollout
	if r != nil {
		return fmt.Sprintf("%s is tried against %s: %s, step %d of %d, %s wanted, %s acknowledged, %s observed",
			r.Candidate, r.Stable, r.Phase, min(r.Step+1, len(r.Steps)), len(r.Steps),
			share(s.State.Published.Weight(r.Candidate)), ackedShare(r), observedShare(s, r.ID))
	}
	if len(s.State.History) > 0 {
		last := s.State.History[0]
		return fmt.Sprintf("%s serves; %s was %s (%s): %s", s.State.Stable, last.Candidate, last.Outcome, last.Cause, last.Reason)
	}
	if s.State.Stable == "" {
		return "the split is fixed"
	}
	return s.State.Stable + " serves; there was no rollout yet"
}

// sentence says what one test saw.
func sentence(t analysis.Test) string {
	done := "open"
	if t.Passed {
		done = "passed"
	}
	text := fmt.Sprintf("%s by %s, for %s: stable %s, candidate %s", t.Metric, t.Method, t.Direction, observed(t.Stable), observed(t.Candidate))
	if t.Ratio != (analysis.Interval{}) {
		text += fmt.Sprintf(", ratio %.3g", t.Ratio.Estimate)
		if t.Ratio.High > 0 {
			text += fmt.Sprintf(" in [%.3g, %.3g]", t.Ratio.Low, t.Ratio.High)
		}
	}
	return text + fmt.Sprintf("; limit %s; evidence %.2f of %.2f nats: %s", t.Threshold, t.LogE, t.LogNeeded, done)
}

func observed(e analysis.Estimate) string {
	if e.N == 0 {
		return "no data"
	}
	return fmt.Sprintf("%.4g (%d of %d)", e.Value, e.Count, e.N)
}

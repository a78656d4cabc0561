package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
	"github.com/sluice-dev/sluice/config"
)

// summary is an inference route in a line.
type summary struct {
	Namespace, Name, Stable, Candidate, Split, Phase, Step, Weight, Acked, Observed, Verdict, Age string
}

func (s summary) cells() []string {
	return []string{s.Namespace, s.Name, s.Stable, s.Candidate, s.Split, s.Phase, s.Step, s.Weight, s.Acked, s.Observed, s.Verdict, s.Age}
}

func summaryOf(s controller.Snapshot, now time.Time) summary {
	line := summary{
		Namespace: s.State.Route.Namespace, Name: s.State.Route.Name, Stable: orDash(s.State.Stable),
		Candidate: "-", Split: splitText(s.State.Published), Phase: string(s.State.Phase()),
		Step: "-", Weight: "-", Acked: "-", Observed: "-", Verdict: "-", Age: "-",
	}
	r := s.State.Rollout
	if test, seen, ok := s.ABTest(); ok {
		return line.tested(test, seen, now)
	}
	if r == nil {
		return line.ended(s, now)
	}
	line.Candidate = r.Candidate
	line.Step = fmt.Sprintf("%d/%d", min(r.Step+1, len(r.Steps)), len(r.Steps))
	trace, _ := s.Trace(r.ID)
	reach, _ := s.State.Reach(trace)
	line.Weight, line.Acked, line.Observed = share(reach.Wanted), reached(reach.Acked), reached(reach.Observed)+live.Aged(reach.ObservedAt, now)
	line.Verdict = orDash(string(r.Verdict))
	if r.Blind != nil {
		line.Verdict = "blind"
	}
	line.Age = now.Sub(r.Began).Truncate(time.Second).String()
	return line
}

// splitText writes who gets how much, in the order of the split.
func splitText(split config.Split) string {
	var parts []string
	for _, s := range split.Shares {
		text := s.Version + "=" + share(split.Weight(s.Version))
		if split.Weight(s.Version) > 0 && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return orDash(strings.Join(parts, ","))
}

// tested says how an A/B test stands, or how it ended.
func (s summary) tested(test canary.ABTest, seen canary.ABTrace, now time.Time) summary {
	from, verdict := test.Began, string(analysis.ABUndecided)
	winner := seen.Standing.Winner
	if !test.Runs() {
		from, verdict, winner = test.Ended, "no winner", test.Winner
	}
	if winner != "" {
		verdict = winner + " wins"
	}
	s.Candidate, s.Verdict, s.Age = test.ID, verdict, now.Sub(from).Truncate(time.Second).String()
	return s
}

// ended says how the newest rollout ended.
func (s summary) ended(of controller.Snapshot, now time.Time) summary {
	if len(of.State.History) == 0 || of.Route.Strategy.Canary == nil {
		return s
	}
	last := of.State.History[0]
	s.Verdict = "last: " + last.Candidate + " " + last.Outcome.Words()
	s.Age = now.Sub(last.Ended).Truncate(time.Second).String()
	return s
}

// reached writes a share that may not be there yet.
func reached(basisPoints *uint32) string {
	if basisPoints == nil {
		return "-"
	}
	return share(*basisPoints)
}

// share writes basis points as "12.5%".
func share(basisPoints uint32) string { return fmt.Sprintf("%.4g%%", float64(basisPoints)/100) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// summary is an inference route in a line.
type summary struct {
	Namespace, Name, Stable, Candidate, Phase, Step, Weight, Acked, Observed, Verdict, Age string
}

func (s summary) cells() []string {
	return []string{s.Namespace, s.Name, s.Stable, s.Candidate, s.Phase, s.Step, s.Weight, s.Acked, s.Observed, s.Verdict, s.Age}
}

func summaryOf(s controller.Snapshot, now time.Time) summary {
	line := summary{
		Namespace: s.State.Route.Namespace, Name: s.State.Route.Name, Stable: orDash(s.State.Stable),
		Candidate: "-", Phase: string(s.State.Phase()), Step: "-", Weight: "-", Acked: "-", Observed: "-", Verdict: "-", Age: "-",
	}
	r := s.State.Rollout
	if r == nil {
		return line.ended(s, now)
	}
	line.Candidate = r.Candidate
	line.Step = fmt.Sprintf("%d/%d", min(r.Step+1, len(r.Steps)), len(r.Steps))
	line.Weight = share(s.State.Published.Weight(r.Candidate))
	line.Acked = ackedShare(r)
	line.Observed = observedShare(s, r.ID)
	line.Verdict = orDash(string(r.Verdict))
	if r.Blind != nil {
		line.Verdict = "blind"
	}
	line.Age = now.Sub(r.Began).Truncate(time.Second).String()
	return line
}

// ended says how the newest rollout ended.
func (line summary) ended(s controller.Snapshot, now time.Time) summary {
	if len(s.State.History) == 0 {
		return line
	}
	last := s.State.History[0]
	line.Candidate = last.Candidate
	line.Verdict = string(last.Outcome)
	line.Age = now.Sub(last.Ended).Truncate(time.Second).String()
	return line
}

// ackedShare is the newest share that every connected proxy acknowledged.
func ackedShare(r *canary.Rollout) string {
	for i := len(r.Passages) - 1; i >= 0; i-- {
		if !r.Passages[i].Acked.IsZero() {
			return share(r.Passages[i].Weight)
		}
	}
	return "never"
}

// observedShare is what the access logs show under the newest epoch seen.
func observedShare(s controller.Snapshot, rollout string) string {
	trace, ok := s.Trace(rollout)
	if !ok || len(trace.Served) == 0 {
		return "-"
	}
	weight, seen := trace.Served[len(trace.Served)-1].Weight()
	if !seen {
		return "-"
	}
	return share(weight)
}

// share writes basis points as "12.5%".
func share(basisPoints uint32) string { return fmt.Sprintf("%.4g%%", float64(basisPoints)/100) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

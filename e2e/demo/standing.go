package main

import (
	"fmt"
	"strings"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
)

// standing is how a story stands, in one line: what it is at, which changes
// seldom, and the numbers, which change with every request.
func (t *telling) standing() (line, numbers string) {
	s := t.last.State
	switch r := s.Rollout; {
	case r != nil:
		return t.at(*r), t.numbers()
	case len(s.History) > 0:
		f := s.History[0]
		return fmt.Sprintf("%s by %s, %s", f.Outcome, f.Cause, t.acked()), t.numbers()
	default:
		return "waits for the rollout to begin", ""
	}
}

// at says what share is wanted and how far it came.
func (t *telling) at(r canary.Rollout) string {
	s := t.last.State
	where := strings.ToLower(string(r.Phase))
	if r.Phase == canary.Stepping {
		where = fmt.Sprintf("step %d/%d", r.Step+1, len(r.Steps))
	}
	share := fmt.Sprintf("%s wanted, %s", percent(s.Published.Weight(r.Candidate)), t.acked())
	if m := s.Published.Mirror.Weight; m > 0 {
		share += fmt.Sprintf(", %s mirrored", percent(m))
	}
	verdict := string(r.Verdict)
	if r.Blind != nil {
		verdict = string(analysis.Blind)
	}
	return fmt.Sprintf("%s: %s · %s", where, share, verdict)
}

// acked says whether every proxy has the split in force.
func (t *telling) acked() string {
	if s := t.last.State; s.Acked == s.Published.Epoch {
		return "acked"
	}
	return "not yet acked"
}

func percent(basisPoints uint32) string { return fmt.Sprintf("%g%%", float64(basisPoints)/100) }

// numbers are the requests, and the evidence beside what it needs to decide.
func (t *telling) numbers() string {
	answers := t.record.Answers()
	served := answers.Of(candidate)
	text := fmt.Sprintf(", %s seen · %d of %d requests, %d failed",
		t.observed(), len(served), len(answers), len(answers.Failed()))
	if r := t.last.Ruling; r != nil {
		text += fmt.Sprintf(" · harm in %d mirrored: %.1f/%.1f", r.N, max(0, r.LogE), r.LogNeeded)
	}
	a := t.last.Assessment
	if a == nil || t.last.State.Rollout == nil {
		return text
	}
	text += fmt.Sprintf(" · harm %.1f/%.1f", max(0, a.LogE), a.LogNeeded)
	var safe []string
	for _, test := range a.Tests {
		if test.Direction == "promotion" && test.LogE > 0 {
			safe = append(safe, fmt.Sprintf("%s %.1f/%.1f", test.Metric, test.LogE, test.LogNeeded))
		}
	}
	if len(safe) > 0 {
		text += " · safe: " + strings.Join(safe, ", ")
	}
	return text
}

// observed is the candidate's share of what users got under the split in force.
func (t *telling) observed() string {
	epoch := t.last.State.Published.Epoch
	all, served := 0, 0
	for _, a := range t.record.Answers() {
		if a.Epoch != epoch {
			continue
		}
		all++
		if a.Version == candidate {
			served++
		}
	}
	if all == 0 {
		return "none"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(served)/float64(all))
}

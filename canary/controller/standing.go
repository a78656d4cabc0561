package controller

import (
	"fmt"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Standing says in one sentence where an inference route stands.
func (s Snapshot) Standing() string {
	r := s.State.Rollout
	if test, seen, ok := s.ABTest(); ok {
		return testStanding(test, seen)
	}
	switch {
	case r != nil && r.Phase == canary.Baking:
		return fmt.Sprintf("%s is promoted and watched; %s is kept", r.Candidate, r.Stable)
	case r != nil:
		return fmt.Sprintf("%s is tried against %s: step %d of %d", r.Candidate, r.Stable, min(r.Step+1, len(r.Steps)), len(r.Steps))
	case s.Route.Strategy.Split != nil:
		return "the split is fixed: its weights are written by hand"
	case s.Route.Strategy.ABTest != nil:
		return "the arms of an A/B test divide the users; it names no outcomes, so nothing is judged"
	case s.Route.Strategy.Shadow != nil:
		return shadowText(*s.Route.Strategy.Shadow, s.Assessment != nil)
	case len(s.State.History) > 0:
		f := s.State.History[0]
		return fmt.Sprintf("%s serves; %s was %s (%s): %s", s.State.Stable, f.Candidate, f.Outcome.Words(), f.Cause, f.Reason)
	case s.State.Stable != "":
		return s.State.Stable + " serves; there was no rollout yet"
	}
	return "nothing is served yet"
}

// shadowText says what a shadow as a strategy does.
func shadowText(shadow config.Shadow, compared bool) string { //nolint:revive // it is a fact, no control
	text := fmt.Sprintf("%s serves; %s is sent copies of %s of its requests", shadow.Of, shadow.To, shadow.Percent)
	if compared {
		return text + ", and their answers are compared: nothing is done about them"
	}
	return text + "; nothing judges it, and it ends when another strategy is written"
}

// testStanding says in one sentence where an A/B test stands.
func testStanding(t canary.ABTest, seen canary.ABTrace) string {
	switch {
	case t.Runs():
		return fmt.Sprintf("A/B test %s compares %d arms: %s", t.ID, len(t.Spec.Arms), seen.Standing.Reason)
	case t.Winner != "":
		return fmt.Sprintf("A/B test %s ended (%s) and %s won; the arms keep their shares: %s", t.ID, t.Cause, t.Winner, t.Reason)
	}
	return fmt.Sprintf("A/B test %s ended (%s) without a winner; the arms keep their shares: %s", t.ID, t.Cause, t.Reason)
}

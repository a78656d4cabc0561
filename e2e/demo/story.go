package main

import (
	"fmt"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// What the stories have in common.
const (
	namespace = "demo"
	model     = "magika"
	stable    = "v3-2"
	candidate = "v3-3"
)

// story is one rollout of the candidate on an inference route of its own.
type story struct {
	Name     string
	About    string // one line, for people
	Expected canary.Outcome

	Pods   int      // of each version
	Rate   float64  // users' requests per second
	Steps  []string // weights
	Faults []string // of the candidate's servers
}

// stories are told side by side. A request costs some 10 ms of processor time,
// all processes together, so their rates keep a third of two cores busy: what is
// slow is then the version and not the machine, even with a second demo beside.
func stories() []story {
	return []story{
		{
			Name: "good", Expected: canary.OutcomePromoted,
			About: "the new version as it is",
			Pods:  4, Rate: 50, Steps: []string{"25%", "50%"},
		},
		{
			Name: "broken", Expected: canary.OutcomeRolledBack,
			About: "the new version, and every other answer is an error",
			Pods:  2, Rate: 8, Steps: []string{"25%", "50%"},
			Faults: []string{"error-rate=0.5"},
		},
		{
			Name: "slow", Expected: canary.OutcomeRolledBack,
			About: "the new version, right but three times as slow",
			Pods:  2, Rate: 14, Steps: []string{"25%", "50%"},
			Faults: []string{"latency-factor=3"},
		},
	}
}

// Host is the hostname that the story's users ask for.
func (s story) Host() string { return s.Name + "." + namespace }

// Key names the story's inference route.
func (s story) Key() config.Key { return config.Key{Namespace: namespace, Name: s.Name} }

// proven says whether a rollout ended as expected, and by evidence: promoted by
// it, or rolled back by a final test or by what mirrored traffic confirmed. A
// trip alone proves nothing.
func (s story) proven(f canary.Finished) error {
	byEvidence := f.Cause == canary.CauseEvidence ||
		f.Cause == canary.CauseTrip && f.Outcome == canary.OutcomeRolledBack
	switch {
	case f.Outcome != s.Expected:
		return fmt.Errorf("%s: %s was expected, found %s: %s", s.Name, s.Expected, f.Outcome, f.Reason)
	case !byEvidence:
		return fmt.Errorf("%s: %s, but not by evidence, found %s: %s", s.Name, f.Outcome, f.Cause, f.Reason)
	}
	return nil
}

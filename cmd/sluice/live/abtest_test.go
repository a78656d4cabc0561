package live_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
	"github.com/sluice-dev/sluice/config"
)

// compared divides users between two arms, a fifth of those of the first click.
func compared(clicks int) controller.Snapshot {
	spec := config.ABTest{
		Arms: map[string]config.Percent{"v3-2": percent(50), "v3-3": percent(50)}, Reference: "v3-2", Error: percent(5), Within: config.Duration(time.Hour),
		EndsBy: config.EndsBy{Decision: true, Date: noon.Add(time.Hour)},
		Outcomes: []config.ABOutcome{
			{Name: "clicks", Kind: config.ABRate, Better: config.ABHigher}, {Name: "rating", Kind: config.ABMean, Better: config.ABHigher},
		},
	}
	var e analysis.ABEvidence
	for i := range 1000 {
		for arm, clicked := range map[string]int{"v3-2": 200, "v3-3": clicks} {
			value := int64(0)
			if i < clicked {
				value = 1_000_000
			}
			e.Add("clicks", arm, value)
			if i < 60 {
				e.Add("rating", arm, int64(i%5)*1_000_000)
			}
		}
	}
	s := divided()
	s.Route.Strategy = config.Strategy{ABTest: &spec}
	s.State.Published.Shares = []config.Share{{Version: "v3-2", Weight: 5000}, {Version: "v3-3", Weight: 5000}}
	s.State.ABTests = []canary.ABTest{{ID: "abtest-4", Spec: spec, Began: noon.Add(-2 * time.Hour)}}
	s.ABTraces = []canary.ABTrace{{
		Test: "abtest-4", Standing: analysis.NewABTest(spec).Judge(e),
		Counts: analysis.ABCounts{Reported: 430, Counted: 400, Waiting: 12, Duplicate: 9, Late: 5, Unknown: 4, Refused: 2, Closed: 2000, Open: 120, Outside: 3, Moved: 1},
	}}
	return s
}

// decided is how compared went on.
func decided(clicks int) controller.Snapshot {
	s := compared(clicks)
	test, seen := &s.State.ABTests[0], s.ABTraces[0]
	test.Ended, test.Cause, test.Winner, test.Reason = noon, canary.CauseEvidence, seen.Standing.Winner, seen.Standing.Reason
	if test.Winner == "" {
		test.Cause = canary.CauseDate
	}
	return s
}

func TestAnABTestIsShownByArm(t *testing.T) {
	for name, seen := range map[string]controller.Snapshot{
		"an_ab_test_runs": compared(230), "an_ab_test_has_a_winner": decided(400), "an_ab_test_has_none": decided(230),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, live.Screen(seen, live.Look{Width: 110}))
			golden(t, name+"_explained", live.Explain(seen, live.Look{}))
		})
	}
	require.Contains(t, live.Line(compared(230), live.Look{}), `msg="A/B test abtest-4 compares 2 arms: clicks of v3-3 less that of v3-2 is 0.03, surely from`)
}

package live_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
)

// aborted ended though every test found it healthy.
func aborted() controller.Snapshot {
	s := ended(canary.OutcomeRolledBack)
	f := &s.State.History[0]
	f.Cause, f.Reason = canary.CauseAborted, "aborted by alice: wrong labels"
	a := seen()
	a.Verdict, a.Reason, a.LogE = analysis.Healthy, "every promotion test passed", -.001
	s.Assessment = a
	return s
}

func TestExplanations(t *testing.T) {
	tests := []struct {
		name string
		seen controller.Snapshot
		look live.Look
	}{
		{"explained_step", stepping(), live.Look{}},
		{"explained_gate_while_nothing_is_well", gated(), live.Look{Width: 100}},
		{"explained_trip", tripped(), live.Look{ASCII: true}},
		{"explained_abort_of_a_healthy_version", aborted(), live.Look{}},
		{"explained_rest", resting(), live.Look{}},
		{"explained_split_by_hand", divided(), live.Look{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := live.Explain(test.seen, test.look)
			golden(t, test.name, got)
			require.NotContains(t, got, "-0.00", "what rounds to nothing has no sign")
			require.NotContains(t, got, "rolledBack")
			require.NotContains(t, got, "\x1b")
		})
	}
}

// unseeing has waited for signals since half a minute.
func unseeing() controller.Snapshot {
	s := stepping()
	s.Gap = "no load report from sluice-7f3a for 30s"
	s.State.Rollout.Blind = &canary.Blind{Since: noon.Add(-29 * time.Second), Reason: "a log stream broke off for 174ms"}
	a := *s.Assessment
	a.Verdict, a.Reason = analysis.Blind, s.Gap
	s.Assessment = &a
	s.Waits = s.State.Waits(a, s.At)
	s.Traces[0].Stable.Last, s.Traces[0].Candidate.Last = noon.Add(-30*time.Second), noon.Add(-31*time.Second)
	s.LogAt = noon.Add(-30 * time.Second)
	return s
}

func TestWhatIsMissingIsSaidOnceAndWhatIsOldHasAnAge(t *testing.T) {
	for name, text := range map[string]string{"explain": live.Explain(unseeing(), live.Look{}), "status": live.Screen(unseeing(), live.Look{})} {
		require.Equal(t, 1, strings.Count(text, "no load report"), "%s: %s", name, text)
		require.Contains(t, text, "blind for 29s: no load report from sluice-7f3a for 30s", name)
		require.NotContains(t, text, "174ms", name)
		require.Contains(t, text, ", 30s ago", name)
	}
	require.Contains(t, live.Screen(unseeing(), live.Look{}), "after a request's end, 30s ago")
}

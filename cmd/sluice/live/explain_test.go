package live_test

import (
	"testing"

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

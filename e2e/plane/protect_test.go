package plane

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// A candidate that fails every request at a quarter of the traffic: users see no
// failure but of what the budget leaves uncovered, and the rollback comes as soon as
// without protection, since the evidence is the same.
func TestUsersAreSparedAFailingCandidateUpToTheBudget(t *testing.T) {
	for _, tt := range []struct {
		name, protect string
		uncovered     float64 // of the candidate's requests
	}{
		{"unprotected", "", 1},
		{"a budget of 20%", "\n  protect: {retryOnStable: {budget: 20%}}", 0.2},
		{"a budget of 100%", "\n  protect: {retryOnStable: {budget: 100%}}", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, "{maxDuration: 10m, minStep: 1s}", "  strategy: {canary: {steps: [{weight: 25%, for: 1m}]}}"+tt.protect)
			s.fail()
			s.load(200)
			s.write("v2")
			end := s.until("rolled back", func(got controller.Snapshot) bool { return len(got.State.History) > 0 })
			s.stopLoad()

			finished := end.State.History[0]
			require.Equal(t, canary.OutcomeRolledBack, finished.Outcome)
			share, tripped := passages(finished)
			exposed := s.record.Answers().Between(share.Acked, tripped.Acked)
			seen := len(s.record.Answers().Failed())
			t.Logf("%s: users saw %d failures of %d requests while v2 had 25%% for %v", tt.name, seen, len(exposed),
				tripped.Acked.Sub(share.Acked).Round(time.Millisecond))
			require.NotEmpty(t, exposed)
			// Of a quarter of the traffic; six standard deviations, and what was on its way.
			most := 0.25*tt.uncovered*float64(len(exposed)) + 6*math.Sqrt(float64(len(exposed))*0.25*tt.uncovered) + 10*tt.uncovered
			require.LessOrEqual(t, float64(seen), most)
			if tt.uncovered == 1 {
				require.Positive(t, seen, "the story is about failures that users would see")
			}
		})
	}
}

// passages finds the split that gave the candidate its share, and the one that took
// it away.
func passages(f canary.Finished) (share, away canary.Passage) {
	for i, p := range f.Passages {
		if p.Weight > 0 && i+1 < len(f.Passages) {
			return p, f.Passages[i+1]
		}
	}
	return share, away
}

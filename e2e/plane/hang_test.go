package plane

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// A candidate that accepts and never answers looks like one that nobody asks, until its
// first requests time out after 30 s. Their proxy says meanwhile that they wait.
func TestACandidateThatHangsIsRolledBackWhileItsClientsWait(t *testing.T) {
	t.Parallel()
	s := newScene(t, `{minStep: 2s, minRequestsPerStep: 10}`, oneStep)
	for _, b := range s.v2 {
		b.hangs.Store(true)
	}
	s.metrics = `    - {name: latency, quantiles: [p50], versusStable: {rollbackIf: ">1.3x", promoteIf: "<2x"}}`
	s.write("v1")
	s.load(30)
	s.waitAnswers(65) // so that stable's latencies are known
	s.write("v2")
	tripped := s.until("tripped", func(now controller.Snapshot) bool { return now.State.Phase() == canary.Tripped || rolledBack(now) })
	require.Zero(t, tripped.Traces[0].Candidate.Requests, "none of its answers has ended")
	require.NotContains(t, s.explain(), "where 20% was declared")

	end := s.until("rolled back", rolledBack)
	finished := end.State.History[0]
	require.Equal(t, canary.CauseTrip, finished.Cause, finished.Reason)
	require.Contains(t, finished.Trips[0].Reason, "took longer than")
	require.Contains(t, finished.Reason, "mirrored requests")
	require.Zero(t, end.Traces[0].Candidate.Requests, "nor since")
	share := finished.Passages[slices.IndexFunc(finished.Passages, func(p canary.Passage) bool { return p.Weight > 0 })]
	t.Logf("from the candidate's share, tripped after %s, rolled back after %s: %s",
		finished.Trips[0].At.Sub(share.Acked), finished.Ended.Sub(share.Acked), finished.Reason)

	for _, b := range s.v2 {
		b.release()
	}
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed(), "nobody's request was lost")
}

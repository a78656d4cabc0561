package controller_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// hanging is a world whose candidate accepts requests and never answers, while its
// clients wait for the time-out of 30 s.
func hanging() world.Spec {
	sp := spec()
	sp.Rate = 30
	sp.Candidate.Faults = []world.Fault{{Hangs: 1}}
	return sp
}

// hangs is a lab with a first step of 20 % that has seen stable for a while.
func hangs(t *testing.T, change func(*config.PolicySpec)) *lab {
	t.Helper()
	l := newLab(t, hanging())
	l.route.Strategy.Canary.Steps[0].Weight = 200_000
	change(&l.policy)
	l.route.Target = "v1"
	l.start()
	l.run(10 * time.Second)
	l.route.Target = "v2"
	require.NoError(t, l.ctl.Configure(l.world.Now(), l.route, l.policy))
	return l
}

func TestACandidateThatHangsIsRolledBackBeforeItsClientsTimeOut(t *testing.T) {
	l := hangs(t, func(*config.PolicySpec) {})
	tripped := l.until(15*time.Second, in(canary.Tripped))
	require.Zero(t, tripped.Traces[0].Candidate.Requests, "none has ended")
	require.Contains(t, tripped.State.Rollout.OpenTrip().Reason, "took longer than")

	s := l.until(15*time.Second, ended)
	f := s.State.History[0]
	require.Equal(t, canary.OutcomeRolledBack, f.Outcome)
	require.Equal(t, canary.CauseTrip, f.Cause, f.Reason)
	require.Contains(t, f.Reason, "mirrored requests took longer than", "no mirrored one has ended either")
	first := l.world.Truth().FirstCandidate
	t.Logf("from the candidate's first request, tripped after %s, rolled back after %s", f.Trips[0].At.Sub(first), f.Ended.Sub(first))

	l.run(35 * time.Second)
	s = l.ctl.Snapshot(l.world.Now())
	require.EqualValues(t, l.world.Truth().Candidate, s.Traces[0].Candidate.Errors, "in the end, each is known to have timed out")
	requireReplays(t, l.store.decisions)
}

func TestTheFinalTestsFindACandidateThatHangsBeforeItsClientsTimeOut(t *testing.T) {
	l := hangs(t, func(p *config.PolicySpec) { p.Trip.Latency = 1e6 }) // it trips for errors alone
	s := l.until(25*time.Second, ended)
	f := s.State.History[0]
	require.Equal(t, canary.OutcomeRolledBack, f.Outcome)
	require.Equal(t, canary.CauseEvidence, f.Cause)
	require.Contains(t, f.Reason, "latency-p50 pod-rank")
	require.Zero(t, s.Traces[0].Candidate.Requests, "none has ended")
	t.Logf("rolled back after %s: %s", f.Ended.Sub(l.world.Truth().FirstCandidate), f.Reason)
}

func TestRequestsThatAreStillOutAreNoFaultOfTheSplit(t *testing.T) {
	l := hangs(t, func(p *config.PolicySpec) { // until they time out nothing is said of errors
		p.Metrics = p.Metrics[:1]
	})
	require.Equal(t, config.MetricErrors, l.policy.Metrics[0].Name)
	end := l.world.Now().Add(25 * time.Second)
	l.until(26*time.Second, func(s controller.Snapshot) bool {
		require.True(t, s.Assessment == nil || s.Assessment.Hold == "", "%+v", s.Assessment)
		return !l.world.Now().Before(end)
	})
}

package plane

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

const (
	quick   = `{minStep: 2s, minRequestsPerStep: 40}`
	ramp    = `  strategy: {canary: {steps: [{weight: 20%}, {weight: 50%}]}}`
	oneStep = `  strategy: {canary: {steps: [{weight: 20%, for: 5m}]}}`
)

func stepping(step int) func(controller.Snapshot) bool {
	return func(s controller.Snapshot) bool {
		return s.State.Phase() == canary.Stepping && s.State.Rollout.Step == step && !s.State.Rollout.Clock.IsZero()
	}
}

func promoted(s controller.Snapshot) bool {
	return s.State.Rollout == nil && len(s.State.History) > 0 && s.State.History[0].Outcome == canary.OutcomePromoted
}

func TestAKilledControlPlaneComesBackWhereItWas(t *testing.T) {
	t.Parallel() // with other absences: it mostly waits
	s := newScene(t, quick, ramp)
	s.load(100)
	s.write("v2")
	before := s.until("second step", stepping(1))
	seen := s.until("evidence", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Requests["v2"] > before.State.Rollout.Base+20
	})
	envoy := s.envoyPID()

	s.plane.Kill()
	died := time.Now()
	s.answeredUntil(died.Add(away))
	s.start()
	require.Equal(t, envoy, s.envoyPID(), "the Envoy that served on is adopted")

	after := s.until("the same step", stepping(1))
	require.Equal(t, seen.State.Rollout.ID, after.State.Rollout.ID)
	require.Positive(t, after.State.Published.Epoch)
	require.GreaterOrEqual(t, after.State.Published.Epoch, seen.State.Published.Epoch, "no epoch is used twice")

	last := s.until("promotion", promoted)
	require.GreaterOrEqual(t, last.State.History[0].Ended, died)
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed(), "no request failed while the control plane was away")
	served := s.record.Answers()
	require.NotEmpty(t, served.Of("v2").Between(died.Add(away/2), died.Add(away)), "the split stayed in force")
	require.NotEmpty(t, last.Traces[0].Gaps)
	require.Contains(t, last.Traces[0].Gaps[0], "is counted: the control plane was away")

	// What the logs showed after the restart is what was served: neither arm more
	// than the other.
	for _, t := range last.Traces {
		for _, epoch := range t.Served {
			if epoch.Epoch == after.State.Published.Epoch {
				weight, ok := epoch.Weight()
				require.True(s.t, ok)
				require.InDelta(s.t, 5000, weight, 1200, "observed share at epoch %d", epoch.Epoch)
			}
		}
	}
}

func TestAKilledEnvoyIsBackAndProgrammed(t *testing.T) {
	s := newScene(t, quick, oneStep)
	s.load(50)
	s.write("v2")
	s.until("first step", stepping(0))
	old := s.envoyPID()
	require.NoError(t, syscall.Kill(old, syscall.SIGKILL))
	s.until("another Envoy", func(now controller.Snapshot) bool {
		return len(now.Proxies) == 1 && s.envoyPID() != old
	})
	back := time.Now()
	s.waitAnswers(len(s.record.Answers()) + 100)
	s.stopLoad()
	answers := s.record.Answers()
	require.NotEmpty(t, answers.Of("v2").Between(back, time.Now()), "the new Envoy has the split")
	now := s.until("still stepping", func(now controller.Snapshot) bool { return now.State.Rollout != nil })
	require.Equal(t, canary.Stepping, now.State.Phase(), "a dead proxy is nobody's fault: %v", now.Waits)
}

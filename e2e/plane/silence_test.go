package plane

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

// waitAnswers waits until so many answers came.
func (s *scene) waitAnswers(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return len(s.record.Answers()) >= n }, patience, 10*time.Millisecond)
}

func rolledBack(s controller.Snapshot) bool {
	return s.State.Rollout == nil && len(s.State.History) > 0 && s.State.History[0].Outcome == canary.OutcomeRolledBack
}

// abort must answer within a second and take the candidate's share away with it.
func (s *scene) abort() {
	s.t.Helper()
	asked := time.Now()
	answer := s.do("abort", api.Verb{})
	require.Zero(s.t, answer.Decision.Split.Weight("v2"), "in this very decision")
	require.WithinRange(s.t, answer.Decision.At, asked.Add(-time.Second), asked.Add(time.Second))
	s.until("rolled back", rolledBack)
}

func TestAnIdleRouteIsNeverPromoted(t *testing.T) {
	s := newScene(t, `{minStep: 1s, minRequestsPerStep: 0}`, ramp)
	s.write("v2")
	s.until("waiting for evidence, or stepping on without any", func(now controller.Snapshot) bool {
		return now.State.Phase() == canary.Stepping && len(now.Waits) > 0 && now.Assessment != nil &&
			time.Since(now.State.Rollout.Since) > 3*time.Second
	})
	text := s.explain()
	require.Contains(t, text, "waits for")
	require.Regexp(t, `\d`, text)
	s.abort()
}

func TestACandidateWithoutAReadyEndpointHasNoShareAndIsUndecided(t *testing.T) {
	s := newScene(t, `{minStep: 1s, minRequestsPerStep: 10, progressDeadline: 4s}`, ramp)
	s.unready()
	s.until("unready", func(now controller.Snapshot) bool { return now.State.Ready["v2"] == 0 && now.State.Ready["v1"] == 2 })
	s.load(50)
	s.write("v2")
	waiting := s.until("waiting", func(now controller.Snapshot) bool { return now.State.Phase() == canary.Waiting })
	require.Zero(t, waiting.State.Published.Weight("v2"))
	require.Contains(t, s.explain(), "ready")

	last := s.until("the stated deadline", rolledBack)
	require.Equal(t, canary.CauseDeadline, last.State.History[0].Cause)
	require.Contains(t, last.State.History[0].Reason, "503", "the pod's own words")
	s.stopLoad()
	require.Empty(t, s.record.Answers().Of("v2"))
	require.Empty(t, s.record.Answers().Failed())
}

func TestACandidateThatGoesUnreadyLosesItsShareAtOnce(t *testing.T) {
	s := newScene(t, quick, oneStep)
	s.load(100)
	s.write("v2")
	s.until("first step", stepping(0))
	s.unready()
	s.until("no share", func(now controller.Snapshot) bool {
		return now.State.Rollout != nil && now.State.Published.Weight("v2") == 0
	})
	s.abort()
}

func TestABlindRolloutIsAborted(t *testing.T) {
	s, logs := newRelayedScene(t, quick, oneStep)
	s.until("the proxy", served)
	s.load(100)
	s.write("v2")
	s.until("evidence", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Requests["v2"] > 20
	})
	logs.cut()
	s.until("blind", isBlind)
	s.abort()
}

func TestAFailingCandidateIsRolledBackAndAPromotedOneCanBe(t *testing.T) {
	s := newScene(t, quick, ramp)
	s.load(100)
	s.write("v2")
	s.until("promotion", promoted)
	asked := time.Now()
	answer := s.do("rollback", api.Verb{})
	require.Equal(t, uint32(10000), answer.Decision.Split.Weight("v1"))
	back := s.until("v1 acknowledged", func(now controller.Snapshot) bool {
		return now.State.Stable == "v1" && now.State.Acked == now.State.Published.Epoch
	})
	require.WithinRange(t, back.At, asked, asked.Add(5*time.Second))
	s.until("quiet", func(now controller.Snapshot) bool { return now.State.Rollout == nil })

	s.fail()
	s.do("retry", api.Verb{})
	last := s.until("rolled back on evidence", func(now controller.Snapshot) bool {
		return rolledBack(now) && now.State.History[0].Cause != canary.CauseReverted
	})
	require.NotEqual(t, canary.CauseDeadline, last.State.History[0].Cause)
	s.stopLoad()
	require.LessOrEqual(t, len(s.record.Answers().Failed()), 25, "a few, then none")
}

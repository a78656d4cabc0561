package controller_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// mirrored is a lab whose proxies are the test itself: requests are what it says.
type mirrored struct {
	*lab
	now time.Time
	n   int
}

// compares judges answers too: at most 1% may differ.
func compares(p config.PolicySpec) config.PolicySpec {
	most := config.Percent(10_000)
	p.Metrics = append(p.Metrics, config.Metric{
		Name: config.MetricAnswers, Weight: 1, SLO: &config.SLO{Max: &most},
		Compare: &config.Compare{By: config.CompareDigest, Within: config.Duration(time.Second)},
	})
	return p
}

func newMirrored(t *testing.T, strategy config.Strategy) *mirrored {
	t.Helper()
	l := newLab(t, spec())
	l.policy = compares(l.policy)
	l.route.Strategy = strategy
	if strategy.Canary == nil {
		l.route.Target, l.route.InitialStable = "", ""
	}
	return &mirrored{lab: l, now: dawn}
}

// answers sends requests, 100 a second, each copied to v2 under the split in force, of
// which every so many is answered otherwise by it.
func (m *mirrored) answers(n, every int) controller.Snapshot {
	m.t.Helper()
	for range n {
		split := m.published[len(m.published)-1]
		live := analysis.Request{
			Route: key, ID: fmt.Sprintf("r%d", m.n), Version: "v1", Epoch: split.Epoch, Pod: "v1:1", Proxy: "proxy-0",
			Start: m.now, Duration: 5 * time.Millisecond, Attempt: 1, Issued: true, Status: "200", Digest: "cat",
		}
		requests := []analysis.Request{live}
		if split.Mirror.Weight > 0 {
			shadow := live
			shadow.Version, shadow.Pod, shadow.Shadow = "v2", "v2:1", true
			if every > 0 && m.n%every == 0 {
				shadow.Digest = "dog"
			}
			requests = append(requests, shadow)
		}
		m.ctl.Observe(m.now, requests)
		if m.n++; m.n%5 == 0 {
			m.tick()
		}
		m.now = m.now.Add(10 * time.Millisecond)
	}
	return m.ctl.Snapshot(m.now)
}

func (m *mirrored) tick() {
	m.ctl.Tick(m.now)
	m.ctl.Acked(canary.Acked{At: m.now, Epoch: m.published[len(m.published)-1].Epoch, Proxies: 1})
}

func shadowStep() config.Strategy {
	return config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Shadow: config.PerMillion, For: config.Duration(time.Second)}, {Weight: 50_000}}}}
}

func waitsFor(s controller.Snapshot, why canary.WaitReason) string {
	for _, w := range s.Waits {
		if w.Reason == why {
			return w.Text
		}
	}
	return ""
}

func TestAShadowStepLastsUntilAnswersWereCompared(t *testing.T) {
	m := newMirrored(t, shadowStep())
	m.start()
	s := m.answers(250, 0)
	require.Zero(t, s.State.Rollout.Step)
	require.Contains(t, waitsFor(s, canary.WaitAnswers), "0 of 1", "its time is long over")
	require.Empty(t, waitsFor(s, canary.WaitTime))
	s = m.answers(400, 0)
	require.Equal(t, 1, s.State.Rollout.Step, "%v: %+v", s.Waits, s.Assessment.Answers)
	require.True(t, s.Assessment.Answers.Proven)
	require.Equal(t, uint32(500), s.State.Published.Weight("v2"))
}

func TestAShadowWhoseAnswersDifferIsRolledBack(t *testing.T) {
	m := newMirrored(t, shadowStep())
	m.start()
	s := m.answers(500, 10)
	require.Nil(t, s.State.Rollout)
	f := s.State.History[0]
	require.Equal(t, canary.OutcomeRolledBack, f.Outcome)
	require.Contains(t, f.Reason, "answers slo ≤ 1%: candidate")
	trace, _ := s.Trace(f.ID)
	require.Zero(t, trace.Candidate.Requests, "no user was served by it")
	require.Contains(t, trace.Assessment.Answers.Examples, analysis.Disagreement{ID: "r10", Stable: "cat", Shadow: "dog"})
	requireReplays(t, m.store.decisions)
}

func shadowStrategy() config.Strategy {
	return config.Strategy{Shadow: &config.Shadow{Of: "v1", To: "v2", Percent: config.PerMillion}}
}

func TestAShadowIsToldOfAndNothingIsDone(t *testing.T) {
	m := newMirrored(t, shadowStrategy())
	m.start()
	before := len(m.published)
	s := m.answers(500, 20)
	require.Equal(t, analysis.Harmful, s.Assessment.Verdict, s.Assessment.Reason)
	require.Contains(t, s.Assessment.Answers.Reason, "differ from stable's")
	require.Len(t, m.published, before)
	require.Nil(t, s.State.Rollout)
}

func TestAShadowWithoutComparedAnswersShowsNoEvidenceOfARolloutBefore(t *testing.T) {
	m := newMirrored(t, shadowStep())
	m.start()
	require.NotNil(t, m.answers(500, 10).Assessment, "the last look before the rollout ended")
	m.route.Strategy = shadowStrategy()
	m.route.Target, m.route.InitialStable = "", ""
	require.NoError(t, m.ctl.Configure(m.now, m.route, quick()))
	require.Nil(t, m.answers(200, 0).Assessment)
}

func TestAStudyOfAnswersThatAgreeIsHealthyForNobodyWithoutAProxy(t *testing.T) {
	m := newMirrored(t, shadowStrategy())
	m.start()
	a := m.answers(2000, 0).Assessment
	require.Equal(t, analysis.Healthy, a.Verdict, a.Reason)
	m.ctl.Disconnected(m.now, "proxy-0")
	require.Equal(t, analysis.Undecided, m.ctl.Snapshot(m.now).Assessment.Verdict)
}

func TestASplitThatWasNotSavedIsNoneOfAStudy(t *testing.T) {
	m := newMirrored(t, shadowStrategy())
	m.start()
	before := m.answers(300, 0).Assessment.Answers.Pairs
	m.store.broken = true
	m.route.Strategy.Shadow = &config.Shadow{Of: "v1", To: "v2", Percent: config.PerMillion / 2}
	require.ErrorIs(t, m.ctl.Configure(m.now, m.route, m.policy), controller.ErrNotSaved)

	next := m.published[len(m.published)-1]
	next.Epoch++ // whatever it will mean once one is saved
	m.published = append(m.published, next)
	require.InDelta(t, before, m.answers(300, 0).Assessment.Answers.Pairs, 150, "but for what waited for its copy")
}

func TestAStudyGoesOnAfterARestartAndEndsWithItsQuestion(t *testing.T) {
	m := newMirrored(t, shadowStrategy())
	m.start()
	m.answers(1200, 0)
	var kept canary.Checkpoint
	kept, _, err := m.store.Load(key)
	require.NoError(t, err)
	require.NotNil(t, kept.Study, "every 2 s")

	m.start()
	s := m.answers(200, 0)
	require.Greater(t, s.Assessment.Answers.Pairs, int64(900), "the restart lost two seconds")

	m.policy.Metrics = slices.Clone(m.policy.Metrics)
	m.policy.Metrics[len(m.policy.Metrics)-1].SLO = &config.SLO{Max: new(config.Percent(20_000))}
	require.NoError(t, m.ctl.Configure(m.now, m.route, m.policy))
	s = m.answers(200, 0)
	require.Less(t, s.Assessment.Answers.Pairs, int64(200), "another limit is another question")

	m.route.Strategy = config.Strategy{Split: &config.FixedSplit{Weights: map[string]config.Percent{"v1": config.PerMillion}}}
	require.NoError(t, m.ctl.Configure(m.now, m.route, config.Standard()))
	require.Nil(t, m.answers(10, 0).Assessment)
}

package controller_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

var key = config.Key{Namespace: "ml", Name: "filetype"}

// memory is a Store that keeps what was saved as a file would: as JSON, and what an A/B
// test has counted beside it.
type memory struct {
	kept      []byte
	test      *canary.KeptABTest
	tests     int // how often one was saved
	decisions []canary.Decision
	broken    bool
	saves     int
}

func (m *memory) Load(config.Key) (c canary.Checkpoint, ok bool, err error) {
	if m.kept == nil {
		return c, false, nil
	}
	err = json.Unmarshal(m.kept, &c)
	c.ABTest = m.test
	return c, true, err
}

func (m *memory) Save(c canary.Checkpoint, made []canary.Decision) (err error) {
	if m.broken {
		return errors.New("disk is full")
	}
	m.saves++
	m.decisions = append(m.decisions, made...)
	if c.ABTest != nil {
		m.test, c.ABTest = c.ABTest, nil
		m.tests++
	}
	m.kept, err = json.Marshal(c)
	return err
}

// lab runs a Controller in a simulated world.
type lab struct {
	t      *testing.T
	world  *world.World
	ctl    *controller.Controller
	store  *memory
	route  config.RouteSpec
	policy config.PolicySpec

	acks      map[uint64]map[string]bool
	proxies   int
	published []config.Split
	wants     error // the publisher's answer
	notices   []canary.Notice
	hooks     map[time.Duration]func()
	deaf      bool // the control plane is away
}

func newLab(t *testing.T, spec world.Spec) *lab {
	t.Helper()
	spec.Arms = analysis.Arms{Route: key, Stable: "v1", Candidate: "v2"}
	spec.Network.LoadEvery = time.Second
	w, err := world.New(spec)
	require.NoError(t, err)
	l := &lab{t: t, world: w, store: &memory{}, acks: map[uint64]map[string]bool{}, proxies: max(1, spec.Proxies), policy: quick(), hooks: map[time.Duration]func(){}}
	l.route = config.RouteSpec{
		Versions: []config.Version{
			{Name: "v1", Endpoints: []string{"v1:1", "v1:2"}},
			{Name: "v2", Endpoints: []string{"v2:1", "v2:2"}},
		},
		Target: "v2", InitialStable: "v1", Mirroring: config.MirroringAllowed,
		Strategy: config.Strategy{Canary: &config.Canary{
			Steps: []config.Step{{Weight: 50_000}, {Weight: 500_000}},
			Bake:  config.Duration(20 * time.Second),
		}},
	}
	return l
}

// quick is the standard policy with shorter times.
func quick() config.PolicySpec {
	p := config.Standard()
	p.Limits.MinStep = config.Duration(5 * time.Second)
	p.Limits.MinRequestsPerStep = 30
	p.Limits.MaxBlind = config.Duration(10 * time.Second)
	p.Limits.MaxDuration = config.Duration(10 * time.Minute)
	p.Warmup.PerPod = config.Duration(2 * time.Second)
	p.Warmup.Requests = 20
	p.Unit.Block = config.Duration(2 * time.Second)
	return p
}

// start brings a control plane up: at first, and after a crash.
func (l *lab) start() {
	l.t.Helper()
	ctl, err := controller.New(controller.Config{Key: key, Store: l.store, Publisher: l, Notifier: l})
	require.NoError(l.t, err)
	l.ctl, l.deaf = ctl, false
	for _, p := range []string{"proxy-0"} {
		ctl.Connected(p)
	}
	l.acks = map[uint64]map[string]bool{}
	require.NoError(l.t, ctl.Configure(l.world.Now(), l.route, l.policy))
	for _, v := range []string{"v1", "v2"} {
		ctl.Resized(l.world.Now(), v, 2, 2, "")
	}
}

func (l *lab) Publish(_ config.InferenceRoute, s config.Split) error {
	if l.wants != nil {
		return l.wants
	}
	l.published = append(l.published, s)
	l.world.Publish(s)
	return nil
}

func (l *lab) Withdraw(config.Key) {}

func (l *lab) Notify(n canary.Notice) { l.notices = append(l.notices, n) }

// Handle brings what the world tells to the Controller, as cmd does.
func (l *lab) Handle(now time.Time, ev world.Event) {
	if since := now.Sub(dawn); l.hooks != nil {
		for at, hook := range l.hooks {
			if since >= at {
				delete(l.hooks, at)
				hook()
			}
		}
	}
	if l.deaf {
		return
	}
	switch e := ev.(type) {
	case *world.Logged:
		l.ctl.Observe(now, e.Entries)
	case *world.Loaded:
		l.ctl.Report([]analysis.Load{e.Load})
	case *world.Acked:
		if l.acks[e.Epoch] == nil {
			l.acks[e.Epoch] = map[string]bool{}
		}
		l.acks[e.Epoch][e.Proxy] = true
		if n := len(l.acks[e.Epoch]); n == l.proxies {
			l.ctl.Acked(canary.Acked{At: now, Epoch: e.Epoch, Proxies: n})
		}
	case world.Ticked:
		l.ctl.Tick(now)
	}
}

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// until runs the world until something holds, or for the time at most.
func (l *lab) until(most time.Duration, holds func(controller.Snapshot) bool) controller.Snapshot {
	l.t.Helper()
	end := l.world.Now().Add(most)
	for l.world.Now().Before(end) {
		l.world.Run(l, l.world.Now().Add(100*time.Millisecond))
		if s := l.ctl.Snapshot(l.world.Now()); !l.deaf && holds(s) {
			return s
		}
	}
	s := l.ctl.Snapshot(l.world.Now())
	for _, d := range l.store.decisions {
		l.t.Logf("%s %-12s %s", d.At.Format("15:04:05.000"), d.Event, d.Text)
	}
	l.t.Fatalf("not within %s: %s, waits %v, assessment %+v", most, s.State.Phase(), s.Waits, s.Assessment)
	return s
}

func (l *lab) run(d time.Duration) { l.world.Run(l, l.world.Now().Add(d)) }

func ended(s controller.Snapshot) bool { return s.State.Rollout == nil && len(s.State.History) > 0 }

func in(phase canary.Phase) func(controller.Snapshot) bool {
	return func(s controller.Snapshot) bool { return s.State.Phase() == phase }
}

func fleetOf(pods int) world.Version {
	return world.Version{Pods: pods, Service: world.Lognormal{Median: 20 * time.Millisecond, Sigma: 0.3}, Errors: 0.001}
}

func spec() world.Spec {
	return world.Spec{Seed: 7, Rate: 200, Stable: fleetOf(2), Candidate: fleetOf(2)}
}

func TestAHealthyCandidateIsPromotedOnEvidence(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	s := l.until(10*time.Minute, ended)
	f := s.State.History[0]
	require.Equal(t, canary.OutcomePromoted, f.Outcome, f.Reason)
	require.Equal(t, canary.CauseEvidence, f.Cause)
	require.Equal(t, "v2", s.State.Stable)

	trace, ok := s.Trace(f.ID)
	require.True(t, ok)
	require.InDelta(t, l.world.Truth().Candidate, trace.Candidate.Requests, 60, "what users felt was counted, but for what is under way")
	require.NotNil(t, trace.Assessment)
	for _, p := range f.Passages[1:] { // the first was overtaken at once
		require.False(t, p.Acked.IsZero(), "epoch %d was acknowledged", p.Epoch)
	}
	requireReplays(t, l.store.decisions)
}

func TestWithNoProxyConnectedNothingIsHealthyOrAcknowledged(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	l.until(10*time.Minute, func(s controller.Snapshot) bool {
		return s.State.Rollout != nil && s.Assessment != nil && s.Assessment.Verdict == analysis.Healthy
	})
	l.ctl.Disconnected(l.world.Now(), "proxy-0")

	s := l.ctl.Snapshot(l.world.Now())

	require.Equal(t, analysis.Undecided, s.Assessment.Verdict)
	require.Contains(t, s.Assessment.Reason, "no proxy is connected; before, every required promotion test has passed")
	require.Equal(t, analysis.WhyNoProxy, s.Assessment.Why.Kind)
	require.Equal(t, analysis.Undecided, s.State.Rollout.Verdict)
	require.Equal(t, s.Assessment, s.Traces[0].Assessment, "nor in a review")
	require.Contains(t, string(l.store.kept), `"verdict":"healthy"`, "what is saved stays")
	reach, _ := s.State.Reach(s.Traces[0])
	require.Nil(t, reach.Acked)
	require.Nil(t, reach.Observed)
}

func TestABrokenCandidateTripsAndIsRolledBack(t *testing.T) {
	sp := spec()
	sp.Candidate.Faults = []world.Fault{{Errors: 1}}
	l := newLab(t, sp)
	l.start()
	s := l.until(time.Minute, ended)
	f := s.State.History[0]
	require.Equal(t, canary.OutcomeRolledBack, f.Outcome)
	require.Equal(t, canary.CauseTrip, f.Cause, f.Reason)
	require.Len(t, f.Trips, 1)
	truth := l.world.Truth()
	require.Less(t, truth.Exposure(), 2*time.Second)
	require.LessOrEqual(t, truth.Hurt, 8)

	// Nothing more comes to it, and the way back is confirmed.
	l.run(5 * time.Second)
	require.Equal(t, truth.Candidate, l.world.Truth().Candidate)
	require.False(t, l.ctl.Snapshot(l.world.Now()).State.History[0].Confirmed.IsZero())
	requireReplays(t, l.store.decisions)
}

func TestWithoutMirroringATripWaitsForAPerson(t *testing.T) {
	sp := spec()
	sp.Candidate.Faults = []world.Fault{{Errors: 1}}
	l := newLab(t, sp)
	l.route.Mirroring = config.MirroringForbidden
	l.start()
	l.until(time.Minute, in(canary.Tripped))
	l.run(time.Minute)
	s := l.ctl.Snapshot(l.world.Now())
	require.Equal(t, canary.Tripped, s.State.Phase())
	require.Contains(t, s.Waits[0].Text, "mirroring is forbidden")
	stalled, _ := s.Condition(canary.Stalled)
	require.Equal(t, canary.True, stalled.Status)

	d, err := l.ctl.Handle(canary.Aborted{At: l.world.Now(), By: canary.By{Actor: "alice", Reason: "broken"}})
	require.NoError(t, err)
	require.False(t, d.Refused)
	require.Equal(t, canary.OutcomeRolledBack, l.ctl.Snapshot(l.world.Now()).State.History[0].Outcome)
}

func TestALostLogIsBlindAndThenRetreatsAndComesBack(t *testing.T) {
	sp := spec()
	sp.Network.Gaps = []world.Gap{{After: 20 * time.Second, For: 25 * time.Second}}
	l := newLab(t, sp)
	l.policy.Limits.MinStep = config.Duration(15 * time.Second)
	l.start()
	l.until(19*time.Second, func(s controller.Snapshot) bool { return s.State.Rollout != nil && s.State.Rollout.Step == 1 })
	blind := l.until(10*time.Second, func(s controller.Snapshot) bool { return s.State.Rollout.Blind != nil })
	require.Equal(t, analysis.Blind, blind.Assessment.Verdict)
	require.NotEmpty(t, blind.Gap)
	require.Contains(t, blind.Waits[0].Text, "blind")

	back := l.until(20*time.Second, func(s controller.Snapshot) bool { return s.State.Rollout.Step == 0 })
	require.NotNil(t, back.State.Rollout.Blind, "still blind, and at the first step")
	seeing := l.until(time.Minute, func(s controller.Snapshot) bool { return s.State.Rollout.Blind == nil })
	require.Empty(t, seeing.Gap)
	trace, _ := seeing.Trace(seeing.State.Rollout.ID)
	require.NotEmpty(t, trace.Gaps)
	require.Regexp(t, `for 2[5-9](\.\d+)?s`, trace.Gaps[0], "as long as it became")

	s := l.until(10*time.Minute, ended)
	require.Equal(t, canary.OutcomePromoted, s.State.History[0].Outcome, "a gap is nobody's fault")
	requireReplays(t, l.store.decisions)
}

func TestErrorsInLoadReportsTripWhileTheLogsAreAway(t *testing.T) {
	sp := spec()
	sp.Network.Gaps = []world.Gap{{After: 3 * time.Second, For: 10 * time.Minute}}
	sp.Candidate.Faults = []world.Fault{{After: 8 * time.Second, Errors: 1}}
	l := newLab(t, sp)
	l.start()
	s := l.until(30*time.Second, in(canary.Tripped))
	require.NotNil(t, s.State.Rollout.Blind)
	require.Zero(t, s.State.Published.Weight("v2"))
}

func TestARestartGoesOnAtTheSameStepAndDropsTheOutage(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	l.until(30*time.Second, func(s controller.Snapshot) bool { return s.State.Rollout != nil && s.State.Rollout.Step == 1 })
	entered := l.world.Now()
	l.run(7 * time.Second)
	var before canary.Checkpoint
	require.NoError(t, json.Unmarshal(l.store.kept, &before))
	require.NotZero(t, before.Evidence.Spans)
	require.Greater(t, before.At.Sub(entered), 4*time.Second, "nothing was decided, and yet what was seen is kept")
	require.LessOrEqual(t, l.world.Now().Sub(before.At), controller.Keep)

	l.deaf = true // kill -9
	served := l.world.Truth()
	l.run(20 * time.Second)
	outage := l.world.Now()
	require.Greater(t, l.world.Truth().Requests, served.Requests, "proxies serve on")

	l.start()
	s := l.ctl.Snapshot(l.world.Now())
	require.Equal(t, before.State.Rollout.Step, s.State.Rollout.Step)
	require.Equal(t, before.State.Published, s.State.Published, "and nothing changes for users")
	require.True(t, s.State.Rollout.Clock.IsZero(), "its clock begins again")
	trace, _ := s.Trace(s.State.Rollout.ID)
	require.Len(t, trace.Gaps, 1, "and the review says what was not seen")
	require.Regexp(t, `for 2\d(\.\d+)?s is counted: the control plane was away`, trace.Gaps[0])
	l.run(2 * time.Second)
	l.run(11 * time.Second)
	var after canary.Checkpoint
	require.NoError(t, json.Unmarshal(l.store.kept, &after))
	require.GreaterOrEqual(t, after.Evidence.Through, analysis.IndexAt(outage))
	require.Zero(t, after.Evidence.Refused, "no window is counted twice")
	lost := after.Evidence.Through - before.Evidence.Through - (after.Evidence.Spans - before.Evidence.Spans)
	require.GreaterOrEqual(t, lost, int64(20*time.Second/analysis.WindowLength)-10, "those of the outage are counted for neither arm")

	s = l.until(10*time.Minute, ended)
	require.Equal(t, canary.OutcomePromoted, s.State.History[0].Outcome)
	requireReplays(t, l.store.decisions)
}

func TestTimeWithoutRequestsIsNoAbsenceOfTheControlPlane(t *testing.T) {
	m := newMirrored(t, shadowStep())
	m.start()
	require.NotNil(t, m.answers(100, 0).State.Rollout)
	for range 60 * 20 { // a minute without a request
		m.now = m.now.Add(50 * time.Millisecond)
		m.tick()
	}
	m.deaf = true // kill -9, and up again
	m.now = m.now.Add(3 * time.Second)
	m.world.Run(m.lab, m.now)
	m.start()
	s := m.ctl.Snapshot(m.now)
	require.Len(t, s.Traces[0].Gaps, 1)
	require.Regexp(t, `for (\d|1[0-3])(\.\d+)?s is counted: the control plane was away`, s.Traces[0].Gaps[0], "and at most what was not kept")
}

func TestAStoreThatIsAwayStopsGrowthAndNotTheWayBack(t *testing.T) {
	sp := spec()
	sp.Candidate.Faults = []world.Fault{{After: 20 * time.Second, Errors: 1}}
	l := newLab(t, sp)
	l.start()
	l.until(10*time.Second, in(canary.Stepping))
	l.store.broken = true
	by := canary.By{Actor: "alice", Reason: "because"}
	_, err := l.ctl.Handle(canary.Promoted{At: l.world.Now(), By: by})
	require.ErrorIs(t, err, controller.ErrNotSaved)
	l.run(15 * time.Second)
	s := l.ctl.Snapshot(l.world.Now())
	require.Equal(t, 0, s.State.Rollout.Step, "it does not grow")
	require.NotNil(t, s.State.Fault)
	stalled, _ := s.Condition(canary.Stalled)
	require.Equal(t, string(canary.WaitFault), stalled.Reason)

	l.until(20*time.Second, in(canary.Tripped))
	require.Zero(t, l.published[len(l.published)-1].Weight("v2"), "what is taken away waits for nothing")
	l.store.broken = false
	s = l.until(time.Minute, ended)
	require.Equal(t, canary.OutcomeRolledBack, s.State.History[0].Outcome)
	l.until(time.Minute, func(s controller.Snapshot) bool { return s.State.Fault == nil })
	requireReplays(t, l.store.decisions)
}

func TestAbortIsDoneWhateverIsWrong(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	l.until(10*time.Second, in(canary.Stepping))
	l.store.broken = true
	d, err := l.ctl.Handle(canary.Aborted{At: l.world.Now(), By: canary.By{Actor: "alice", Reason: "now"}})
	require.NoError(t, err, "abort needs no store")
	require.False(t, d.Refused)
	require.Zero(t, l.published[len(l.published)-1].Weight("v2"))
}

func TestARefusedEditKeepsWhatIsInForce(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	l.until(10*time.Second, in(canary.Stepping))
	bad := l.route
	bad.Versions = bad.Versions[:1]
	err := l.ctl.Configure(l.world.Now(), bad, l.policy)
	require.ErrorContains(t, err, `"v2" is in a rollout and cannot be removed`)
	s := l.ctl.Snapshot(l.world.Now())
	accepted, _ := s.Condition(canary.Accepted)
	require.Equal(t, canary.False, accepted.Status)
	require.Contains(t, accepted.Message, "cannot be removed")
	require.Len(t, s.Route.Versions, 2)
	require.Equal(t, canary.Stepping, s.State.Phase())

	// Also across a restart: the last accepted one is in force again.
	l.deaf = true
	good := l.route
	l.route = bad
	ctl, err := controller.New(controller.Config{Key: key, Store: l.store, Publisher: l})
	require.NoError(t, err)
	require.ErrorContains(t, ctl.Configure(l.world.Now(), bad, l.policy), "cannot be removed")
	s = ctl.Snapshot(l.world.Now())
	require.Len(t, s.Route.Versions, 2)
	require.Equal(t, canary.Stepping, s.State.Phase())

	require.NoError(t, ctl.Configure(l.world.Now(), good, l.policy))
	accepted, _ = ctl.Snapshot(l.world.Now()).Condition(canary.Accepted)
	require.Equal(t, canary.True, accepted.Status)
}

func TestASplitThatCannotBePublishedIsSaidAndStopsGrowth(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	l.until(10*time.Second, in(canary.Stepping))
	l.wants = errors.New("cluster ml/filetype/v2: bad address")
	s := l.until(30*time.Second, func(s controller.Snapshot) bool { return s.State.Nack != nil })
	require.Contains(t, s.State.Nack.Text, "bad address")
	ready, _ := s.Condition(canary.Ready)
	require.Equal(t, canary.False, ready.Status)
	d, err := l.ctl.Handle(canary.Aborted{At: l.world.Now(), By: canary.By{Actor: "alice", Reason: "x"}})
	require.NoError(t, err)
	require.False(t, d.Refused)
}

func TestConditionsKeepTheTimeOfTheirLastChange(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	first := l.until(10*time.Second, in(canary.Stepping))
	was, _ := first.Condition(canary.Accepted)
	l.run(3 * time.Second)
	is, _ := l.ctl.Snapshot(l.world.Now()).Condition(canary.Accepted)
	require.Equal(t, was.LastTransitionTime, is.LastTransitionTime)
}

func TestARolloutThatNobodyUsesIsExplained(t *testing.T) {
	sp := spec()
	sp.Rate = 0.001
	l := newLab(t, sp)
	l.start()
	l.run(30 * time.Second)
	s := l.ctl.Snapshot(l.world.Now())
	require.Equal(t, canary.Stepping, s.State.Phase())
	require.Equal(t, analysis.Undecided, s.Assessment.Verdict)
	require.Equal(t, canary.WaitRequests, s.Waits[0].Reason)
	require.Contains(t, s.Waits[0].Text, "0 of at least 30 requests")
	require.NotEmpty(t, s.Remedy)
}

// requireReplays takes the record again and compares byte for byte.
func requireReplays(t *testing.T, recorded []canary.Decision) {
	t.Helper()
	text, err := json.Marshal(recorded)
	require.NoError(t, err)
	var survived []canary.Decision
	require.NoError(t, json.Unmarshal(text, &survived))
	again, err := canary.Replay(survived)
	require.NoError(t, err)
	got, err := json.Marshal(again)
	require.NoError(t, err)
	require.Equal(t, string(text), string(got))
}

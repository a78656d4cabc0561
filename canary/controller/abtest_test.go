package controller_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// clicking is a lab whose users are the test itself: each asks once, gets the arm that
// the split has for them, and clicks, or does not, a second later.
type clicking struct {
	*lab
	now   time.Time
	rng   *rand.Rand
	users int
	said  []analysis.ABReport // of the last second
}

func newClicking(t *testing.T, ends config.EndsBy) *clicking {
	t.Helper()
	l := newLab(t, spec())
	l.route.Target, l.route.InitialStable, l.route.Mirroring = "", "", config.MirroringForbidden
	l.route.Timeouts.Request = config.Duration(time.Second)
	l.route.Stickiness = &config.Stickiness{Header: "x-user-id"}
	l.route.Strategy = config.Strategy{ABTest: &config.ABTest{
		Arms: map[string]config.Percent{"v1": 500_000, "v2": 500_000}, Reference: "v1", Within: config.Duration(10 * time.Second),
		Error: 50_000, Planned: 300, EndsBy: ends, Outcomes: []config.ABOutcome{
			{Name: "clicks", Kind: config.ABRate, Better: config.ABHigher, Missing: config.ABZero},
			{Name: "failures", Kind: config.ABErrors, Better: config.ABLower},
		},
	}}
	return &clicking{lab: l, now: dawn, rng: rand.New(rand.NewPCG(9, 9))}
}

// start brings a control plane up: at first, and after a crash.
func (c *clicking) start() {
	c.t.Helper()
	ctl, err := controller.New(controller.Config{Key: key, Store: c.store, Publisher: c, Notifier: c})
	require.NoError(c.t, err)
	c.ctl = ctl
	ctl.Connected("proxy-0")
	require.NoError(c.t, ctl.Configure(c.now, c.route, c.policy))
}

// come lets some users come, 100 a second, of whom a share of each arm's clicks.
func (c *clicking) come(n int, rates map[string]float64) controller.Snapshot {
	c.t.Helper()
	for range n {
		c.users++
		split := c.published[len(c.published)-1]
		arm := c.draw(split)
		r := analysis.Request{
			Route: key, ID: fmt.Sprintf("r%d", c.users), Unit: fmt.Sprintf("u%d", c.users), Version: arm, Epoch: split.Epoch, Pod: arm + ":1",
			Proxy: "proxy-0", Start: c.now, Duration: 5 * time.Millisecond, Attempt: 1, Issued: true,
		}
		c.ctl.Observe(c.now, []analysis.Request{r})
		if c.rng.Float64() < rates[arm] {
			c.said = append(c.said, analysis.ABReport{Unit: r.Unit, Outcome: "clicks", Value: 1, At: c.now})
		}
		c.now = c.now.Add(10 * time.Millisecond)
		if c.users%100 == 0 {
			c.tell()
		}
		if c.users%5 == 0 {
			c.ctl.Tick(c.now)
		}
	}
	return c.ctl.Snapshot(c.now)
}

// draw gives a user an arm.
func (c *clicking) draw(split config.Split) string {
	at := c.rng.Uint32N(config.WholeSplit)
	for _, share := range split.Shares {
		if at < share.Weight {
			return share.Version
		}
		at -= share.Weight
	}
	c.t.Fatal("the split is not whole")
	return ""
}

// tell reports what was clicked.
func (c *clicking) tell() {
	c.t.Helper()
	if c.ctl.Snapshot(c.now).State.RunningTest() == nil {
		return
	}
	receipt, err := c.ctl.Tell(c.now, c.said)
	require.NoError(c.t, err)
	require.Equal(c.t, controller.Receipt{Test: "abtest-1", Taken: len(c.said)}, receipt)
	c.said = nil
}

// wait lets time pass without users.
func (c *clicking) wait(d time.Duration) controller.Snapshot {
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(50 * time.Millisecond) {
		c.ctl.Tick(c.now)
	}
	return c.ctl.Snapshot(c.now)
}

func TestAnABTestNamesTheArmThatUsersClick(t *testing.T) {
	c := newClicking(t, config.EndsBy{Decision: true})
	c.start()
	before := c.published[len(c.published)-1]
	s := c.come(3000, map[string]float64{"v1": .2, "v2": .4})
	require.Len(t, s.State.ABTests, 1)
	test := s.State.ABTests[0]
	require.False(t, test.Runs(), s.ABTraces[0].Standing.Reason)
	require.Equal(t, "v2", test.Winner)
	require.Equal(t, canary.CauseEvidence, test.Cause)
	require.Contains(t, test.Reason, "v2 is better than every other arm in clicks, at an error of 5% over all looks: v1 0.")
	require.Equal(t, before, c.published[len(c.published)-1], "and nobody moves")
	require.Equal(t, canary.NoticeEnded, c.notices[len(c.notices)-1].Kind)

	trace := s.ABTraces[0]
	require.Equal(t, test.ID, trace.Test)
	require.Equal(t, test.Reason, trace.Standing.Reason)
	require.Equal(t, trace.Counts.Reported, trace.Counts.Counted+trace.Counts.Waiting, "%+v", trace.Counts)
	_, err := c.ctl.Tell(c.now, []analysis.ABReport{{Unit: "u1", Outcome: "clicks", Value: 1}})
	require.ErrorIs(t, err, controller.ErrNoTest)
	requireReplays(t, c.store.decisions)
}

func TestEqualArmsHaveNoWinnerAndTheTestEndsWithItsDate(t *testing.T) {
	c := newClicking(t, config.EndsBy{Decision: true, Date: dawn.Add(50 * time.Second)})
	c.start()
	s := c.come(4900, map[string]float64{"v1": .3, "v2": .3})
	require.NotNil(t, s.State.RunningTest())
	require.Equal(t, analysis.ABUndecided, s.ABTraces[0].Standing.Verdicts[0].Standing)
	s = c.wait(3 * time.Second)
	require.Equal(t, canary.CauseDate, s.State.ABTests[0].Cause)
	require.Empty(t, s.State.ABTests[0].Winner)
	require.Contains(t, s.State.ABTests[0].Reason, "clicks of v2 less that of v1 is ")
	requireReplays(t, c.store.decisions)
}

func TestARestartLosesNothingThatWasSaved(t *testing.T) {
	users := func(restart bool) canary.ABTrace {
		c := newClicking(t, config.EndsBy{})
		c.start()
		c.come(1000, map[string]float64{"v1": .2, "v2": .3})
		c.wait(11 * time.Second) // evidence is saved at least every 10 s
		if restart {
			c.start()
		}
		c.come(1000, map[string]float64{"v1": .2, "v2": .3})
		return c.wait(15 * time.Second).ABTraces[0]
	}
	got, want := users(true), users(false)
	require.Equal(t, want, got)
	require.EqualValues(t, 2000, got.Counts.Closed)
	require.Equal(t, got.Counts.Reported, got.Counts.Counted)
}

func TestDecisionsAreSavedWithoutTheMemoryOfATest(t *testing.T) {
	c := newClicking(t, config.EndsBy{})
	c.start()
	decide := func() {
		for n := range 10 {
			c.ctl.Resized(c.now, "v2", n%2, 1, "connection refused")
		}
	}
	decide()
	require.Zero(t, c.store.tests, "nothing was counted")
	c.come(100, nil)
	c.wait(11 * time.Second)
	require.Equal(t, 1, c.store.tests, "evidence is saved at least every 10 s")
	saves := c.store.saves
	decide()
	require.GreaterOrEqual(t, c.store.saves, saves+10)
	require.Equal(t, 1, c.store.tests)

	c.store.broken = true
	c.come(100, nil)
	c.wait(11 * time.Second)
	c.store.broken = false
	c.wait(time.Minute)
	before, tests := c.ctl.Snapshot(c.now).ABTraces[0], c.store.tests
	c.start()
	require.Equal(t, before, c.ctl.Snapshot(c.now).ABTraces[0], "what a store did not take, it is given again")
	require.Equal(t, tests+1, c.store.tests, "once after a restart: an older version kept it with the state")
	decide()
	require.Equal(t, tests+1, c.store.tests)
}

func TestOutcomesThatMakeNoSenseAreRefusedByIndexAndCounted(t *testing.T) {
	c := newClicking(t, config.EndsBy{})
	_, err := (&controller.Controller{}).Tell(dawn, nil)
	require.ErrorIs(t, err, controller.ErrNotConfigured)
	c.start()
	batch := []analysis.ABReport{{Unit: "u1", Outcome: "clicks", Value: 2}, {Unit: "u1", Outcome: "clicks", Value: 1}}
	for range 30 {
		batch = append(batch, analysis.ABReport{Outcome: "likes"})
	}
	receipt, err := c.ctl.Tell(c.now, batch)
	require.NoError(t, err)
	require.Equal(t, 1, receipt.Taken)
	require.Equal(t, 31, receipt.Malformed)
	require.Len(t, receipt.Refused, 20)
	require.Equal(t, controller.Refusal{Index: 0, Error: "value: of a rate is neither 0 nor 1, found 2"}, receipt.Refused[0])
	require.Equal(t, 2, receipt.Refused[1].Index)
	require.Equal(t, analysis.ABCounts{Reported: 1, Waiting: 1, Refused: 31}, c.ctl.Snapshot(c.now).ABTraces[0].Counts)
}

func TestUnitsThatComeWhileAnArmIsAwayAreLeftOut(t *testing.T) {
	c := newClicking(t, config.EndsBy{})
	c.start()
	c.ctl.Resized(c.now, "v2", 0, 1, "connection refused")
	c.come(100, nil)
	c.ctl.Resized(c.now, "v2", 1, 1, "")
	s := c.come(100, nil)
	require.EqualValues(t, 100, s.ABTraces[0].Counts.Outside)
	require.EqualValues(t, 100, s.ABTraces[0].Counts.Open)
}

func TestAnotherStrategyEndsATestAndAMemoryThatIsBrokenHoldsUpNobody(t *testing.T) {
	c := newClicking(t, config.EndsBy{})
	c.start()
	c.come(500, map[string]float64{"v1": .5, "v2": .5})
	c.wait(12 * time.Second)
	require.Greater(t, len(c.store.test.Memory), 5)
	c.store.test.Memory = c.store.test.Memory[:5]
	c.start()
	require.NotNil(t, c.ctl.Snapshot(c.now).State.RunningTest())

	c.route.Strategy = config.Strategy{Split: &config.FixedSplit{Weights: map[string]config.Percent{"v1": config.PerMillion}}}
	require.NoError(t, c.ctl.Configure(c.now, c.route, c.policy))
	s := c.ctl.Snapshot(c.now)
	require.Equal(t, canary.CauseEdited, s.State.ABTests[0].Cause)
	require.Equal(t, "abtest-1", s.ABTraces[0].Test)
}

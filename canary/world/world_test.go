package world_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// witness keeps what the world tells.
type witness struct {
	requests []analysis.Request
	arrived  []time.Time // of each request's log entry
	acks     []world.Acked
	loads    []analysis.Load
	ticks    int
}

func (w *witness) Handle(now time.Time, ev world.Event) {
	switch e := ev.(type) {
	case *world.Logged:
		for _, r := range e.Entries {
			w.requests, w.arrived = append(w.requests, r), append(w.arrived, now)
		}
	case *world.Acked:
		w.acks = append(w.acks, *e)
	case *world.Loaded:
		w.loads = append(w.loads, e.Load)
	case world.Ticked:
		w.ticks++
	}
}

func (w *witness) of(version string) []analysis.Request {
	return slices.DeleteFunc(slices.Clone(w.requests), func(r analysis.Request) bool { return r.Version != version })
}

func plain() world.Spec {
	v := world.Version{Pods: 2, Service: world.Lognormal{Median: 40 * time.Millisecond, Sigma: 0.3}}
	return world.Spec{
		Seed: 1, Rate: 100, Stable: v, Candidate: v,
		Arms: analysis.Arms{Route: config.Key{Namespace: "ml", Name: "m"}, Stable: "v1", Candidate: "v2"},
	}
}

// watch runs a world at a split for some time.
func watch(t *testing.T, spec world.Spec, weight uint32, d time.Duration) (*witness, *world.World) {
	t.Helper()
	w, err := world.New(spec)
	require.NoError(t, err)
	w.Publish(config.Split{Epoch: 1, Shares: config.Carve("v1", "v2", weight, 300)})
	seen := &witness{}
	w.Run(seen, w.Now().Add(d))
	return seen, w
}

func share(rs []analysis.Request, bad func(analysis.Request) bool) float64 {
	n := 0
	for _, r := range rs {
		if bad(r) {
			n++
		}
	}
	return float64(n) / float64(len(rs))
}

func failed(r analysis.Request) bool { return r.Outcome.Error() }

func TestEqualSpecsGiveEqualRunsAndOtherSeedsOthers(t *testing.T) {
	spec := plain()
	first, _ := watch(t, spec, 2500, time.Minute)
	again, _ := watch(t, spec, 2500, time.Minute)
	assert.Equal(t, first, again)
	spec.Seed = 2
	other, _ := watch(t, spec, 2500, time.Minute)
	assert.NotEqual(t, first.requests, other.requests)
}

func TestProxiesHonourTheSplitOnceTheyAppliedIt(t *testing.T) {
	spec := plain()
	spec.Proxies = 3
	seen, w := watch(t, spec, 2500, 10*time.Minute)
	assert.InDelta(t, 0.25, share(seen.requests, func(r analysis.Request) bool { return r.Version == "v2" }), 0.01)
	assert.Len(t, seen.acks, 3)
	for _, r := range seen.of("v2") {
		assert.Equal(t, uint64(1), r.Epoch)
	}
	truth := w.Truth()
	assert.InDelta(t, 60_000, truth.Requests, 4*math.Sqrt(60_000))
	assert.InDelta(t, truth.Requests, len(seen.requests), 30, "all but those under way are logged")
	assert.Equal(t, 12_000, seen.ticks)
}

func TestSplitsAreAppliedInTheOrderOfPublishing(t *testing.T) {
	for seed := range uint64(20) { // delays differ
		spec := plain()
		spec.Seed = seed
		w, err := world.New(spec)
		require.NoError(t, err)
		w.Publish(config.Split{Epoch: 1, Shares: config.Whole("v1")})
		w.Publish(config.Split{Epoch: 2, Shares: config.Whole("v2")})
		seen := &witness{}
		w.Run(seen, w.Now().Add(2*time.Second))
		require.Equal(t, "v2", seen.requests[len(seen.requests)-1].Version)
		require.Equal(t, []world.Acked{{Proxy: "proxy-0", Epoch: 1}, {Proxy: "proxy-0", Epoch: 2}}, seen.acks)
	}
}

func TestLogEntriesComeAFlushLater(t *testing.T) {
	seen, _ := watch(t, plain(), 0, time.Minute)
	var sum time.Duration
	for i, r := range seen.requests {
		late := seen.arrived[i].Sub(r.End())
		require.GreaterOrEqual(t, late, time.Duration(0))
		require.LessOrEqual(t, late, 60*time.Millisecond)
		sum += late
	}
	assert.InDelta(t, 30, float64(sum.Milliseconds())/float64(len(seen.requests)), 5)
}

func TestMirroredCopiesAreNobodysRequests(t *testing.T) {
	w, err := world.New(plain())
	require.NoError(t, err)
	w.Publish(config.Split{Epoch: 1, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: 1000}})
	seen := &witness{}
	w.Run(seen, w.Now().Add(10*time.Minute))
	copies := seen.of("v2")
	assert.InDelta(t, 6000, len(copies), 300)
	assert.InDelta(t, 1, share(copies, func(r analysis.Request) bool { return r.Shadow }), 0)
	assert.Zero(t, w.Truth().Candidate)
	assert.InDelta(t, w.Truth().Mirrored, len(copies), 10)
}

func TestQueuesFillAsTheoryHasIt(t *testing.T) {
	for _, u := range []float64{0.3, 0.6, 0.8} {
		spec := plain()
		spec.Rate = 10
		spec.Stable.Servers, spec.Stable.Utilisation = 1, u
		seen, _ := watch(t, spec, 0, 4*time.Hour)
		var sum float64
		for _, r := range seen.requests {
			sum += r.Duration.Seconds()
		}
		// source: Pollaczek and Khinchine. Service time has mean m and squared
		// coefficient of variation e^σ²-1.
		m := 0.040 * math.Exp(0.045)
		want := m + m*u/(1-u)*math.Exp(0.09)/2
		assert.InEpsilon(t, want, sum/float64(len(seen.requests)), 0.04, "at %v", u)
	}
}

func TestFaultsBeginAfterTheFirstRequest(t *testing.T) {
	spec := plain()
	spec.Candidate.Faults = []world.Fault{{After: 15 * time.Second, Errors: 1}, {After: 30 * time.Second, Slowdown: 3}}
	seen, w := watch(t, spec, 5000, time.Minute)
	first := w.Truth().FirstCandidate
	for _, r := range seen.of("v2") {
		require.Equal(t, r.Start.Sub(first) >= 15*time.Second, r.Outcome == analysis.Failed)
	}
	assert.Zero(t, share(seen.of("v1"), failed))
	assert.Equal(t, w.Truth().Hurt, w.Truth().Failed)
}

func TestASlowVersionIsSlow(t *testing.T) {
	spec := plain()
	spec.Candidate.Faults = []world.Fault{{Slowdown: 2}}
	seen, _ := watch(t, spec, 5000, 10*time.Minute)
	above := func(d time.Duration) func(analysis.Request) bool {
		return func(r analysis.Request) bool { return r.Duration > d }
	}
	assert.InDelta(t, 0.5, share(seen.of("v1"), above(40*time.Millisecond)), 0.02)
	assert.InDelta(t, 0.5, share(seen.of("v2"), above(80*time.Millisecond)), 0.02)
}

func TestBurstsHitSinglePods(t *testing.T) {
	spec := plain()
	spec.Stable.Bursts = world.Bursts{PerHour: 6, Length: 5 * time.Second, Errors: 0.3}
	seen, _ := watch(t, spec, 0, 10*time.Hour)
	assert.InDelta(t, 6*5./3600*0.3, share(seen.requests, failed), 0.0006)
	byPod := map[string]map[int64]int{}
	for _, r := range seen.requests {
		if !failed(r) {
			continue
		}
		if byPod[r.Pod] == nil {
			byPod[r.Pod] = map[int64]int{}
		}
		byPod[r.Pod][r.Start.Unix()/10]++
	}
	require.Len(t, byPod, 2)
	both := 0
	for block := range byPod["v1-0:8000"] {
		if byPod["v1-1:8000"][block] > 0 {
			both++
		}
	}
	assert.Less(t, both, len(byPod["v1-0:8000"])/5, "pods fail at times of their own")
}

func TestAGapLosesLogEntriesAndNoCounts(t *testing.T) {
	spec := plain()
	spec.Network.Gaps = []world.Gap{{After: 20 * time.Second, For: 10 * time.Second}}
	spec.Network.LoadEvery = time.Second
	seen, w := watch(t, spec, 5000, time.Minute)
	assert.InDelta(t, 5000, len(seen.requests), 350)
	var issued uint64
	for _, l := range seen.loads {
		issued += l.Issued
	}
	assert.Equal(t, w.Truth().Requests, int(issued))
}

func TestLostAcksNeverCome(t *testing.T) {
	spec := plain()
	spec.Proxies, spec.Network.LostAcks = 200, 0.25
	seen, _ := watch(t, spec, 5000, 10*time.Second)
	assert.InDelta(t, 150, len(seen.acks), 25)
	assert.InDelta(t, 0.5, share(seen.requests, func(r analysis.Request) bool { return r.Version == "v2" }), 0.06, "the splits are in force all the same")
}

func TestStopEndsARun(t *testing.T) {
	w, err := world.New(plain())
	require.NoError(t, err)
	began := w.Now()
	w.Run(stopper{w}, began.Add(time.Hour))
	assert.Equal(t, 50*time.Millisecond, w.Now().Sub(began))
	assert.True(t, w.Truth().Stopped)
}

type stopper struct{ w *world.World }

func (s stopper) Handle(_ time.Time, ev world.Event) {
	if _, ok := ev.(world.Ticked); ok {
		s.w.Stop()
	}
}

func TestAWorldSaysEverythingThatIsWrongWithItsSpec(t *testing.T) {
	_, err := world.New(world.Spec{})
	require.ErrorContains(t, err, "rate: must be above 0, found 0")
	require.ErrorContains(t, err, `arms: need two names, found "" and ""`)
	require.ErrorContains(t, err, "version: needs pods and a service time, found 0 and 0s")
}

package canary_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// world is one random history: a route, a store that fails now and then, and a
// control plane that crashes.
type world struct {
	t      *rapid.T
	route  config.RouteSpec
	policy config.PolicySpec
	now    time.Time

	state, saved canary.State
	journal      []canary.Decision // as a store would have it
	unsaved      []canary.Decision
	broken       bool
	in           canary.State // before the last event
	inForce      config.RouteSpec
	top          uint64 // largest epoch ever published
	splits       map[uint64]config.Split
	requests     int64
}

func TestPropertiesHoldInEveryHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.event(canary.Configured{At: w.now, Route: w.route, Policy: w.policy})
		steps := rapid.IntRange(1, 120).Draw(t, "events")
		for range steps {
			w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{10, 1000, 30_000, 130_000, 700_000}).Draw(t, "ms")) * time.Millisecond)
			w.something()
		}
		w.replays()
	})
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, policy: testPolicy(), now: dawn, splits: map[uint64]config.Split{}}
	w.state.Route = config.Key{Namespace: "ml", Name: "any"}
	w.saved = w.state
	for _, name := range []string{"v1", "v2", "v3"} {
		w.route.Versions = append(w.route.Versions, config.Version{Name: name, Endpoints: []string{name + ":80"}})
	}
	w.route.InitialStable = "v1"
	fallbacks := []config.Fallback{config.FallbackHold, config.FallbackPromote, config.FallbackRollback}
	w.policy.Limits.OnInconclusive = rapid.SampledFrom(fallbacks).Draw(t, "onInconclusive")
	w.policy.Trip.OnTrip = rapid.SampledFrom([]config.Fallback{config.FallbackHold, config.FallbackRetry, config.FallbackRollback}).Draw(t, "onTrip")
	w.reroute()
	return w
}

// reroute edits the configuration.
func (w *world) reroute() {
	switch rapid.IntRange(0, 9).Draw(w.t, "fixed") {
	case 0:
		w.route.Target = ""
		w.route.Strategy = config.Strategy{Split: &config.FixedSplit{Weights: map[string]config.Percent{"v1": percent(70), "v3": percent(30)}}}
		return
	case 1:
		w.route.Target = ""
		w.route.Strategy = config.Strategy{ABTest: &config.ABTest{Arms: map[string]config.Percent{"v1": percent(70), "v3": percent(30)}, Reference: "v3"}}
		if rapid.Bool().Draw(w.t, "judged test") {
			w.route.Strategy.ABTest.Outcomes = []config.ABOutcome{{Name: "clicks", Kind: config.ABRate}}
			w.route.Strategy.ABTest.EndsBy.Decision = rapid.Bool().Draw(w.t, "ends by decision")
		}
		return
	case 2:
		w.route.Target = ""
		w.route.Strategy = config.Strategy{Shadow: &config.Shadow{Of: "v1", To: "v3", Percent: percent(30)}}
		return
	}
	w.route.Target = rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(w.t, "target")
	w.route.Attempt = rapid.Int64Range(0, 1).Draw(w.t, "attempt")
	w.route.Mirroring = rapid.SampledFrom([]config.Mirroring{config.MirroringAllowed, config.MirroringForbidden}).Draw(w.t, "mirroring")
	plans := [][]config.Step{
		{{Weight: percent(5)}, {Weight: percent(50)}},
		{{Weight: percent(10)}, {Approve: &config.Approve{Timeout: config.Duration(time.Hour)}}, {Weight: percent(100)}},
		{{Approve: &config.Approve{}}, {Weight: percent(30)}, {Approve: &config.Approve{}}},
		{{Shadow: percent(20)}, {Approve: &config.Approve{}}, {Weight: percent(30)}},
	}
	w.route.Strategy = config.Strategy{Canary: &config.Canary{
		Steps:          rapid.SampledFrom(plans).Draw(w.t, "steps"),
		Bake:           config.Duration(rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(w.t, "bake")),
		RollbackWindow: config.RollbackWindow{Versions: rapid.IntRange(0, 2).Draw(w.t, "window")},
	}}
}

// something happens.
func (w *world) something() {
	switch rapid.IntRange(0, 22).Draw(w.t, "what") {
	case 0:
		w.reroute()
		w.event(canary.Configured{At: w.now, Route: w.route, Policy: w.policy})
	case 1:
		w.broken = rapid.Bool().Draw(w.t, "broken")
	case 2: // crash
		w.state, w.unsaved, w.broken = w.saved, nil, false
		w.event(canary.Configured{At: w.now, Route: w.route, Policy: w.policy, Loaded: true})
	default:
		w.event(w.draw())
	}
}

func (w *world) draw() canary.Event {
	t, at := w.t, w.now
	by := canary.By{Actor: "alice", Reason: "because"}
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	switch rapid.IntRange(0, 22).Draw(t, "event") {
	case 0, 1, 2, 3:
		return w.judged()
	case 4:
		return canary.Suspected{At: at, Reason: "3 of 3 failed", LogE: 7, Needed: 6.9, N: 3}
	case 5:
		return canary.Settled{At: at, Confirmed: flag("confirmed"), Reason: "40 mirrored"}
	case 6, 7, 8:
		return canary.Acked{At: at, Epoch: w.state.Published.Epoch, Proxies: rapid.IntRange(0, 2).Draw(t, "proxies")}
	case 9:
		return canary.Nacked{At: at, Proxy: "p", Epoch: w.state.Published.Epoch, Text: "no"}
	case 10:
		return canary.Observed{At: at, Proxy: "p", Epoch: w.state.Published.Epoch + uint64(rapid.IntRange(0, 1).Draw(t, "ahead"))}
	case 11:
		if running := w.state.RunningTest(); running != nil {
			return canary.Concluded{At: at, Test: running.ID, Winner: "v1", Reason: "numbers"}
		}
		return canary.Disconnected{At: at, Proxy: "p", Remaining: rapid.IntRange(0, 1).Draw(t, "remaining")}
	case 12:
		return canary.Blinded{At: at, Reason: "gap"}
	case 13, 14, 15:
		v := rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(t, "version")
		return canary.Resized{At: at, Version: v, Ready: rapid.IntRange(0, 2).Draw(t, "ready"), Total: 2, Fact: "refused"}
	case 16:
		hash := "nonsense"
		if r := w.state.Rollout; r != nil && r.Gate != nil && flag("right") {
			hash = r.Gate.Hash
		}
		return canary.Approved{At: at, By: by, Hash: hash}
	case 17:
		return canary.Promoted{At: at, By: by, Full: flag("full"), OverrideEvidence: flag("override"), Force: flag("force")}
	case 18:
		return rapid.SampledFrom([]canary.Event{canary.Rejected{At: at, By: by}, canary.Retried{At: at, By: by}}).Draw(t, "verb")
	case 19:
		return rapid.SampledFrom([]canary.Event{canary.Held{At: at, By: by}, canary.Resumed{At: at, By: by}}).Draw(t, "verb")
	case 20:
		return rapid.SampledFrom([]canary.Event{canary.Aborted{At: at, By: by}, canary.Reverted{At: at, By: by, Force: flag("force")}, canary.Withdrawn{At: at}}).Draw(t, "verb")
	default:
		return canary.Tick{At: at}
	}
}

func (w *world) judged() canary.Event {
	verdicts := []analysis.Verdict{analysis.Undecided, analysis.Undecided, analysis.Healthy, analysis.Healthy, analysis.Harmful, analysis.Blind}
	a := analysis.Assessment{At: w.now, Verdict: rapid.SampledFrom(verdicts).Draw(w.t, "verdict"), Reason: "numbers", LogNeeded: 5.3}
	a.Hold = rapid.SampledFrom([]string{"", "", "", "split is off"}).Draw(w.t, "hold")
	w.requests += rapid.Int64Range(0, 200).Draw(w.t, "requests")
	if r := w.state.Rollout; r != nil {
		a.Requests = map[string]int64{r.Candidate: w.requests}
	}
	return canary.Judged{At: w.now, Assessment: a}
}

// event steps, checks and performs.
func (w *world) event(ev canary.Event) {
	w.in = w.state
	frozen := marshal(w.t, w.in)
	if c, ok := ev.(canary.Configured); ok {
		w.route = c.Route
	}
	next, effects := canary.Step(w.route, w.state, ev)
	require.Equal(w.t, frozen, marshal(w.t, w.in), "Step changed the state it was given")
	w.check(ev, next, effects)
	if w.perform(next, effects) {
		w.inForce = w.route
		return
	}
	if w.state.Seq != next.Seq {
		w.route = w.inForce // a configuration that was not saved is not in force
	}
	w.event(canary.SaveFailed{At: w.now, Text: "disk is full"})
}

// perform does what a controller does. False: the store failed.
func (w *world) perform(next canary.State, effects []canary.Effect) (saved bool) {
	saved = true
	for i, e := range effects {
		switch e := e.(type) {
		case canary.Publish:
			w.remember(e.Split)
		case canary.Save:
			if w.broken && i == 0 {
				return false
			}
			if saved = !w.broken; saved {
				w.saved = e.State
			}
		case canary.Record:
			w.unsaved = append(w.unsaved, e.Decision)
		}
	}
	w.state = next
	if w.saved.Seq == next.Seq {
		w.journal, w.unsaved = append(w.journal, w.unsaved...), nil
	}
	return saved
}

// remember checks that an epoch never means two splits, and only grows.
func (w *world) remember(s config.Split) {
	if was, ok := w.splits[s.Epoch]; ok {
		require.Empty(w.t, cmp.Diff(was, s), "epoch %d is used twice", s.Epoch)
		return
	}
	require.Greater(w.t, s.Epoch, w.top, "epochs grow")
	w.top, w.splits[s.Epoch] = s.Epoch, s
}

func (w *world) check(ev canary.Event, next canary.State, effects []canary.Effect) {
	w.checkShares(next)
	w.checkRecord(next, effects)
	w.checkOrder(effects)
	w.checkHarm(ev, next)
	w.checkFrozen(ev, next)
	var back canary.State
	require.NoError(w.t, json.Unmarshal([]byte(marshal(w.t, next)), &back))
	require.Empty(w.t, cmp.Diff(next, back), "a state survives JSON")
}

func (w *world) checkShares(next canary.State) {
	if next.Published.Epoch == 0 {
		return
	}
	var sum uint32
	for _, s := range next.Published.Shares {
		sum += s.Weight
	}
	require.EqualValues(w.t, config.WholeSplit, sum)
	require.Empty(w.t, cmp.Diff(next.Published, next.Split(w.route)), "what is published is what the state says")
	if w.route.Strategy.Canary != nil && w.route.Mirroring == config.MirroringForbidden {
		require.Zero(w.t, next.Published.Mirror, "what is forbidden now is not mirrored, whatever a rollout began with")
		require.Zero(w.t, next.Published.Repeat)
	}
}

// checkRecord: a state changes only together with one decision.
func (w *world) checkRecord(next canary.State, effects []canary.Effect) {
	records := 0
	for _, e := range effects {
		if r, ok := e.(canary.Record); ok {
			records++
			require.Equal(w.t, w.in.Seq+1, r.Decision.Seq)
			require.NotEmpty(w.t, r.Decision.Text)
		}
	}
	if cmp.Equal(w.in, next) {
		require.Empty(w.t, effects)
	} else {
		require.Equal(w.t, 1, records)
	}
}

// checkOrder: nothing but the trusted version gains before a save.
func (w *world) checkOrder(effects []canary.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case canary.Save:
			return
		case canary.Publish:
			if r := w.in.Rollout; r != nil {
				require.LessOrEqual(w.t, e.Split.Weight(r.Candidate), w.in.Published.Weight(r.Candidate), "growth is saved first: %v", effects)
			}
			require.LessOrEqual(w.t, e.Split.Epoch, w.saved.Reserved, "an epoch is reserved by a save")
		}
	}
}

// checkHarm: harm and abort leave the candidate nothing, in that very step.
func (w *world) checkHarm(ev canary.Event, next canary.State) {
	r := w.in.Rollout
	if r == nil || w.route.Strategy.Canary == nil {
		return
	}
	switch e := ev.(type) {
	case canary.Judged:
		if e.Assessment.Verdict != analysis.Harmful {
			return
		}
	case canary.Aborted:
	case canary.Reverted, canary.Rejected:
		if next.Rollout != nil {
			return // refused
		}
	default:
		return
	}
	require.Zero(w.t, next.Published.Weight(r.Candidate), "%T leaves the candidate nothing", ev)
	require.Zero(w.t, next.Published.Mirror.Weight)
	require.Contains(w.t, next.Rejections, r.Try, "and it does not begin again")
}

// checkFrozen: while held, blind, refused or unready no share grows but by force.
func (w *world) checkFrozen(ev canary.Event, next canary.State) {
	r := w.in.Rollout
	if r == nil || next.Rollout == nil || next.Rollout.ID != r.ID {
		return
	}
	if n, ok := next.Ready[r.Stable]; ok && n == 0 && next.Ready[r.Candidate] > 0 {
		return // somebody has to answer
	}
	grows := next.Published.Weight(r.Candidate) > w.in.Published.Weight(r.Candidate)
	if _, ok := ev.(canary.Promoted); ok || !grows {
		return
	}
	n := next.Rollout
	require.Nil(w.t, n.Blind, "no growth while blind")
	require.Nil(w.t, n.Hold, "no growth while held")
	require.Nil(w.t, n.Unready, "no growth without a ready endpoint")
	require.Nil(w.t, next.Nack, "no growth while refused")
	require.Nil(w.t, next.Fault, "no growth while nothing is saved")
	require.NotEqual(w.t, canary.Tripped, n.Phase, "no growth while tripped")
}

// replays takes the record again and compares byte for byte.
func (w *world) replays() {
	again, err := canary.Replay(w.journal)
	require.NoError(w.t, err)
	require.Equal(w.t, marshal(w.t, w.journal), marshal(w.t, again))

	var survived []canary.Decision
	require.NoError(w.t, json.Unmarshal([]byte(marshal(w.t, w.journal)), &survived))
	again, err = canary.Replay(survived)
	require.NoError(w.t, err)
	require.Equal(w.t, marshal(w.t, w.journal), marshal(w.t, again), "and so does a record that was stored")
}

func marshal(t require.TestingT, v any) string {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestARolloutReplaysAlone(t *testing.T) {
	s := newStory()
	s.tell(t, `route steps=5% target=v2
configured at=0s
resized v2 at=1s
acked at=2s
aborted at=3s
route target=v3
resized v3 at=4s
configured at=5s
tick at=6s
acked at=7s
judged at=8s harmful
resized v1 at=9s
acked at=10s`)
	var alone []canary.Decision
	for _, d := range s.journal {
		if d.Rollout == "v3-2" || d.Begins == "v3-2" {
			alone = append(alone, d)
		}
	}
	require.Len(t, alone, 5, fmt.Sprint(len(s.journal)))
	again, err := canary.Replay(alone)
	require.NoError(t, err)
	require.Equal(t, marshal(t, alone[:4]), marshal(t, again))

	_, err = canary.Replay(alone[1:])
	require.ErrorContains(t, err, "cannot be replayed alone")
}

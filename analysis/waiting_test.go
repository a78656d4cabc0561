package analysis

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// hangs makes requests of a version every so many beats that nobody answers: they are
// told of each second, and end as time-outs after 30.
func (b *bench) hangs(version string, every int, pods []string) func(int) {
	var out []Request
	return func(i int) {
		if i%every == 0 {
			r := b.request(version, pods[i/every%len(pods)], 0, TimedOut)
			r.ID = strconv.Itoa(i)
			out = append(out, r)
		}
		out = slices.DeleteFunc(out, func(r Request) bool {
			r.Duration = b.now.Sub(r.Start)
			r.Running = r.Duration < 30*time.Second
			if r.Duration > 0 && r.Duration%time.Second == 0 {
				b.watch.Add(r)
			}
			return !r.Running
		})
	}
}

func TestACandidateThatHangsTripsWhileItsClientsWait(t *testing.T) {
	b := newBench(standard(), 500)
	b.pass(10*time.Second, 40, nil)
	b.pass(10*time.Second, 40, b.hangs("v2", 8, twoPods()))
	require.NotNil(t, b.tripped)
	assert.Equal(t, "latency-p95", b.tripped.Metric)
	assert.LessOrEqual(t, b.after, 18*time.Second)
}

func TestWhatWaitsAndIsNoReasonToTrip(t *testing.T) {
	for _, tt := range []struct {
		name string
		each func(b *bench) func(int)
	}{
		{"streams whose first byte came", func(b *bench) func(int) {
			return func(i int) {
				r := b.request("v2", twoPods()[i%2], 5*time.Second, Succeeded)
				r.ID, r.Running, r.FirstByte = strconv.Itoa(i), true, 5*time.Second
				b.watch.Add(r)
			}
		}},
		{"mirrored copies", func(b *bench) func(int) {
			return func(i int) {
				r := b.request("v2", twoPods()[i%2], 5*time.Second, Succeeded)
				r.ID, r.Running, r.Shadow = strconv.Itoa(i), true, true
				b.watch.Add(r)
			}
		}},
		{"one request that waits for long", func(b *bench) func(int) {
			return b.hangs("v2", 1_000_000, twoPods())
		}},
		{"requests that wait for less than an edge", func(b *bench) func(int) {
			return func(i int) {
				r := b.request("v2", twoPods()[i%2], ms(40), Succeeded)
				r.ID, r.Running = strconv.Itoa(i), true
				b.watch.Add(r)
			}
		}},
	} {
		t.Run("is not "+tt.name, func(t *testing.T) {
			b := newBench(standard(), 500)
			b.pass(10*time.Second, 40, nil)
			b.pass(20*time.Second, 40, tt.each(b))
			assert.Nil(t, b.tripped)
		})
	}
}

// What waits of stable's raises its edges as it would have in the end, and stands for
// itself alone once it has ended.
func TestStablesRequestsThatWaitAreOfItsReference(t *testing.T) {
	b := newBench(standard(), 5000)
	b.pass(10*time.Second, 40, nil)
	before := b.watch.edges
	each := b.hangs("v1", 5, []string{"a:1"})
	b.pass(15*time.Second, 40, each)
	assert.Zero(t, b.watch.edges[1], "more than 5 % are slower than can be told")
	assert.Equal(t, before[0], b.watch.edges[0])
	waiting := b.watch.stable.total.waiting
	assert.Equal(t, int64(len(b.watch.waiting)), waiting)
	assert.InDelta(t, 57, waiting, 4, "four in a second, once they are a second old")

	r := b.request("v1", "a:1", 3*time.Second, Succeeded)
	r.ID, r.Running = "late", true
	answers := b.watch.stable.total.answers
	b.watch.Add(r)
	assert.Equal(t, waiting+1, b.watch.stable.total.waiting)
	assert.Equal(t, answers, b.watch.stable.total.answers)
	r.Running, r.Duration = false, 4*time.Second
	b.watch.Add(r)
	assert.Equal(t, waiting, b.watch.stable.total.waiting)
	assert.Equal(t, answers+1, b.watch.stable.total.answers)
}

func TestOneThatWaitedCountsOnceAsSlowAndThenAsWhatItCameTo(t *testing.T) {
	b := newBench(standard(), 500)
	b.pass(10*time.Second, 40, nil)
	r := b.request("v2", "c:1", time.Second, Succeeded)
	r.ID, r.Running = "r", true
	for range 5 {
		b.watch.Add(r)
		r.Duration += time.Second
	}
	seen := func() tally { return b.watch.trail.since(r.Start.Unix(), b.watch.looked) }
	slow := rate{N: 1, Bad: 1}
	assert.Equal(t, tally{suspectMedian: slow, suspectTail: slow}, seen())
	r.Running, r.Outcome = false, TimedOut
	b.watch.Add(r)
	assert.Equal(t, tally{slow, slow, slow}, seen(), "an error besides, and no slower")
	assert.Empty(t, b.watch.waiting)
}

// Both arms alike take a lognormal 1.5 s: some of their requests wait for longer than an
// edge at any time, and nobody is harmed. At so low a level that chance alone trips a good
// many, what is told of waiting must not trip more.
func TestWhatWaitsTripsNoCandidateMoreThatIsAsSlowAsStable(t *testing.T) {
	strict, loose := config.Standard(), config.Standard()
	loose.Trip.Level, loose.Trip.Latency = 500_000, 1
	for _, p := range []config.PolicySpec{strict, loose} {
		trips := map[bool]int{}
		const runs = 25
		for run := range uint64(runs) {
			for _, told := range []bool{false, true} {
				if tripsAlike(p, run, told) {
					trips[told]++
				}
			}
		}
		t.Logf("at level %s tripped %d of %d, and %d where nothing is told of what waits", p.Trip.Level, trips[true], runs, trips[false])
		assert.LessOrEqual(t, trips[true], trips[false]+1)
	}
}

// tripsAlike runs two arms of equal pods for two minutes.
func tripsAlike(p config.PolicySpec, seed uint64, told bool) bool {
	b, rng := newBench(p, 5000), rand.New(rand.NewPCG(seed, 7))
	var entries []Request
	for at := 0.; at < 120; at += rng.ExpFloat64() / 20 {
		b.now = tripDawn.Add(time.Duration(at * float64(time.Second)))
		version, pod := "v1", "a:1"
		if rng.IntN(2) == 1 {
			version, pod = "v2", twoPods()[rng.IntN(2)]
		}
		r := b.request(version, pod, 0, Succeeded)
		r.ID, r.Duration = strconv.Itoa(len(entries)), time.Duration(1.5*math.Exp(0.5*rng.NormFloat64())*float64(time.Second))
		for wait := time.Second; told && wait < r.Duration; wait += time.Second {
			w := r
			w.Duration, w.Running = wait, true
			entries = append(entries, w)
		}
		entries = append(entries, r)
	}
	slices.SortStableFunc(entries, func(a, b Request) int { return cmp.Compare(a.End().UnixNano(), b.End().UnixNano()) })
	next := tripDawn
	for _, r := range entries {
		for ; next.Before(r.End()); next = next.Add(ms(50)) {
			b.now = next
			b.look()
		}
		b.watch.Add(r)
	}
	return b.tripped != nil
}

func TestASettlementConfirmsWhatHangsBeforeItTimesOut(t *testing.T) {
	m := newMirror(slowSuspicion(), 1)
	var out []Request
	id := 0
	mirrored := func(version string) Request {
		id++
		r := m.request(version, twoPods()[id%2], 0, TimedOut)
		r.ID, r.Running = strconv.Itoa(id), true
		return r
	}
	var r Ruling
	for range 100 {
		m.now = m.now.Add(ms(200))
		out = append(out, mirrored("v2"))
		for i := range out {
			out[i].Duration = m.now.Sub(out[i].Start)
			if out[i].Duration > 0 && out[i].Duration%time.Second == 0 {
				m.settlement.Add(out[i])
			}
		}
		m.settlement.Add(m.request("v1", "a:1", ms(40), Succeeded))
		if r = m.settlement.Judge(standard(), m.now); r.Outcome != RulingOpen {
			break
		}
	}
	require.Equal(t, RulingConfirmed, r.Outcome, r.Reason)
	assert.LessOrEqual(t, m.now.Sub(tripDawn), 8*time.Second)
	assert.Regexp(t, `^\d+ of \d+ mirrored requests took longer than`, r.Reason)
	assert.Positive(t, r.N)

	// After a restart, their ends are errors and slow no second time.
	text, err := json.Marshal(m.settlement)
	require.NoError(t, err)
	var again Settlement
	require.NoError(t, json.Unmarshal(text, &again))
	was := again.counted()
	ended := out[15]
	ended.Running = false
	again.Add(ended)
	is := again.counted()
	assert.Equal(t, was.Median, is.Median)
	assert.Equal(t, was.Tail, is.Tail)
	assert.Equal(t, was.Errors.Bad+1, is.Errors.Bad)
}

func TestASettlementDoesNotBlameTheCandidateForHangingAsStableDoes(t *testing.T) {
	m := newMirror(slowSuspicion(), 1)
	for i := range 100 {
		m.now = m.now.Add(ms(400))
		for _, version := range []string{"v1", "v2"} {
			r := m.request(version, twoPods()[i%2], 2*time.Second, Succeeded)
			r.ID, r.Running = strconv.Itoa(i), true
			m.settlement.Add(r)
		}
	}
	r := m.settlement.Judge(standard(), m.now)
	assert.NotEqual(t, RulingConfirmed, r.Outcome, r.Reason)
}

func TestNoMoreIsRememberedOfWhatWaitsThanThereIsRoomFor(t *testing.T) {
	var ws waitings
	at := func(i int, d time.Duration) Request {
		return Request{ID: strconv.Itoa(i), Start: tripDawn.Add(time.Duration(i)), Duration: d, Running: true}
	}
	for i := range waitingsKept {
		require.Equal(t, marks(1), ws.mark(at(i, time.Second), 1, 0))
	}
	assert.Zero(t, ws.mark(at(-1, time.Second), 1, 0), "it counts when it ends")
	assert.Equal(t, marks(2), ws.mark(at(5, time.Second), 3, 0), "those that are known go on")
	assert.Equal(t, marks(1), ws.mark(at(-1, 2*time.Minute), 1, 0), "those that nobody told of for long make room")
	assert.Len(t, ws, 1)
	_, known := ws.end(at(5, 3*time.Minute))
	assert.False(t, known)
	_, known = ws.end(at(-1, 3*time.Minute))
	assert.True(t, known)
	assert.Empty(t, ws)
}

func TestWhatHasNoIDIsNotRemembered(t *testing.T) {
	b := newBench(config.Standard(), 500)
	b.pass(10*time.Second, 40, nil)
	r := b.request("v2", "c:1", 2*time.Second, Succeeded)
	r.Running = true
	b.watch.Add(r)
	assert.Empty(t, b.watch.waiting, "its end could not be told from another's")
	assert.Zero(t, b.watch.trail.since(r.Start.Unix(), b.watch.looked))
}

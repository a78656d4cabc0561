package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// queue is a pod that serves one request after the other.
type queue struct {
	rng        *rand.Rand
	name       string
	free, next float64 // seconds
	rate, mean float64
}

// serve gives the requests that end before a time, in order.
func (q *queue) serve(before float64, took func(start, took float64)) {
	for q.next < before {
		q.free = max(q.free, q.next) + q.mean*math.Exp(0.4*q.rng.NormFloat64()-0.08)
		took(q.next, q.free-q.next)
		q.next += q.rng.ExpFloat64() / q.rate
	}
}

// trips is how often a candidate as good as stable trips within half an hour, two
// pods each, that are busy for a part of the time.
func trips(seed uint64, busy float64) (n int) {
	p := config.Standard()
	w := NewWatch(p, testArms())
	w.Split(config.Split{Shares: config.Carve("v1", "v2", 5000, 0)})
	var queues []*queue
	for i, name := range []string{"a:1", "b:1", "c:1", "d:1"} {
		queues = append(queues, &queue{rng: rand.New(rand.NewPCG(seed, uint64(i))), name: name, rate: 5, mean: busy / 5})
	}
	for second := range 1800 {
		for i, q := range queues {
			version := []string{"v1", "v2"}[i/2]
			q.serve(float64(second), func(start, took float64) {
				w.Add(Request{
					Route: testArms().Route, Version: version, Pod: q.name, Attempt: 1,
					Start: tripDawn.Add(time.Duration(start * 1e9)), Duration: time.Duration(took * 1e9), Outcome: Succeeded,
				})
			})
		}
		if _, tripped := w.Look(tripDawn.Add(time.Duration(second) * time.Second)); tripped {
			n++
		}
	}
	return n
}

func TestQueuesThatStableHasTooRaiseNoSuspicion(t *testing.T) {
	var tripped, independent int
	for seed := range uint64(20) {
		if trips(seed, 0.8) > 0 {
			tripped++
		}
		if trips(seed, 0.1) > 0 {
			independent++
		}
	}
	t.Logf("of 20 equal candidates, in half an hour each: %d tripped at 80%% utilisation, %d at 10%%", tripped, independent)
	assert.LessOrEqual(t, tripped, 3)
	assert.Zero(t, independent)
}

func TestIndependentRequestsAreNotDispersed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, perSecond := range []int{1, 5, 40} {
		var d dispersion
		for second := range int64(600) {
			for range perSecond {
				d.add(second, "a:1", [2]rate{rateOf(rng.IntN(2) == 0), rateOf(rng.IntN(20) == 0)})
			}
			for edge := range 2 {
				most, _ := d.excess(edge)
				require.Zero(t, most, "%d a second, after %d s", perSecond, second)
			}
		}
	}
}

func TestDispersionIsHowManyComeTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var d dispersion
	for second := range int64(2000) {
		if second%4 == 0 && rng.IntN(20) == 0 { // four seconds of slow answers
			for k := range int64(4) {
				d.add(second+k, "a:1", [2]rate{{}, {N: 2, Bad: 2}})
			}
			continue
		}
		if at := d.pods; len(at) == 0 || second > at[0].second {
			d.add(second, "a:1", [2]rate{{}, {N: 2}})
		}
	}
	most, perSecond := d.excess(1)
	assert.InDelta(t, 7, most, 2, "eight come together: seven more than one")
	assert.InDelta(t, 2, perSecond, 0.01)
}

func TestThePlaceOfAPodThatIsGoneIsTaken(t *testing.T) {
	var d dispersion
	for i := range dispersedPods {
		d.add(1, string(rune('a'+i)), [2]rate{})
	}
	d.add(2, "new", [2]rate{})
	require.NotContains(t, names(d), "new")
	d.add(100, "new", [2]rate{})
	require.Contains(t, names(d), "new")
	require.Len(t, d.pods, dispersedPods)
}

func names(d dispersion) (names []string) {
	for _, p := range d.pods {
		names = append(names, p.pod)
	}
	return names
}

package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/config"
)

// Fixed seeds and virtual time: these runs come out the same everywhere.

const fivePercent = 50_000

// boundaryPolicy compares errors with stable and nothing else, and allows no
// difference at all, so that an equal candidate lies on the edge of the null.
func boundaryPolicy() config.PolicySpec {
	return config.PolicySpec{
		Confidence: config.Confidence{FalseRollback: fivePercent},
		Metrics: []config.Metric{{
			Name: config.MetricErrors, BurstCap: 100,
			VersusStable: &config.VersusStable{RollbackIf: 1, PromoteIf: config.Below{Ratio: 2}},
		}},
	}.Default()
}

// drifting is an error rate that both arms share: it grows from 0.5 to 1.25% and
// swings by half, while a ramp moves traffic to the candidate.
func drifting(whole time.Duration) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		part := at.Seconds() / whole.Seconds()
		return (0.005 + 0.0075*part) * (1 + 0.5*math.Sin(6*math.Pi*part))
	}
}

func falseRollbacks(runs uint64, newEngine func() engine) (n int) {
	const whole = 12 * time.Minute
	for seed := range runs {
		t := newTraffic(seed, 400)
		t.share = ramp(whole)
		t.stable, t.candidate = drifting(whole), drifting(whole)
		if _, alarmed := t.alarm(newEngine(), whole, 4); alarmed {
			n++
		}
	}
	return n
}

func TestAnEqualCandidateIsRolledBackNoMoreOftenThanStated(t *testing.T) {
	const runs = 120
	n := falseRollbacks(runs, func() engine { return newSequential(boundaryPolicy()) })
	t.Logf("%d of %d equal candidates were rolled back at 5%%", n, runs)
	assert.LessOrEqual(t, n, runs*5/100)
}

func TestTheCalibrationRaisesTheAlarmOnPooledCounts(t *testing.T) {
	const runs = 12
	n := falseRollbacks(runs, func() engine { return &pooled{alpha: 0.05} })
	t.Logf("%d of %d equal candidates were rolled back by pooled counts", n, runs)
	assert.Greater(t, n, runs/2)
}

// latencyPolicy compares latencies with stable and nothing else.
func latencyPolicy(tolerance config.Above) config.PolicySpec {
	p := config.PolicySpec{
		Confidence: config.Confidence{FalseRollback: fivePercent},
		Metrics: []config.Metric{{
			Name:         config.MetricLatency,
			VersusStable: &config.VersusStable{RollbackIf: tolerance, PromoteIf: config.Below{Ratio: 1.33}},
		}},
	}.Default()
	p.Warmup = config.Warmup{}
	return p
}

// queues is a fleet whose stable pods are busy for a part of the time.
func queues(seed uint64, stable, candidate int, rps float64, share uint32, busy float64) *fleet {
	perPod := rps * (1 - float64(share)/1e4) / float64(stable)
	return &fleet{
		rng: rand.New(rand.NewPCG(seed, 7)), stable: stable, candidate: candidate, rps: rps,
		share: always(share), slower: always(1.0), sigma: 0.5, median: busy / perPod * math.Exp(-0.125),
	}
}

func TestEqualPodsAreRolledBackNoMoreOftenThanStated(t *testing.T) {
	for _, test := range []struct {
		name              string
		stable, candidate int
		rps               float64
		share             uint32
		busy              float64
	}{
		{"1 of 20 at equal load, 60% busy", 19, 1, 200, 500, 0.6},
		{"2 of 4 at equal load, 60% busy", 2, 2, 20, 5000, 0.6},
		{"2 of 4 with a 20th of the load, 10% busy", 2, 2, 20, 500, 0.1},
	} {
		t.Run(test.name, func(t *testing.T) {
			const runs = 60
			n := 0
			for seed := range uint64(runs) {
				f := queues(seed, test.stable, test.candidate, test.rps, test.share, test.busy)
				if a, _ := f.run(latencyPolicy(1), 4*time.Minute, Harmful); a.Verdict == Harmful {
					n++
				}
			}
			t.Logf("%d of %d equal candidates were rolled back at 5%%", n, runs)
			assert.LessOrEqual(t, n, 6) // 5% of 60 is 3; 6 or less has a chance of 97% at that
		})
	}
}

func TestPodsOfUnequalLoadAreComparedFairly(t *testing.T) {
	const blocks = 4000
	one := tie{n: 20, h: 1}
	for _, slow := range []float64{0.5, 0.05} {
		t.Run(fmt.Sprintf("%.2g slow", slow), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			var fair, unfair float64
			for block := range uint64(blocks) {
				loads, shares := unequalLoads(rng, slow)
				var past [slopes]nats
				addBlock(&past, loads, 1, block)
				for k, lambda := range slopesOf() {
					fair += math.Exp(past[k].float()) / slopes / blocks
					scale := places{pods: 20, lambda: lambda}
					unfair += math.Exp(scale.logChance(ties(loads, shares, 1))-scale.logMean(one)) / slopes / blocks
				}
			}
			t.Logf("mean e-value %.3f, and %.3f if shares of unequal numbers are ranked", fair, unfair)
			assert.InDelta(t, 1, fair, 0.05)
			assert.Greater(t, unfair, 1.2)
		})
	}
}

// unequalLoads is 19 stable pods with 95 requests each and a candidate's with 5,
// all equally slow, and each pod's share of slow requests in percent.
func unequalLoads(rng *rand.Rand, slow float64) (loads []load, shares []int64) {
	for i := range 20 {
		l := load{pod: fmt.Sprint(i), n: 95}
		if i == 19 {
			l.n, l.side = 5, ofCandidate
		}
		l.slow = binomial(rng, l.n, slow)
		loads, shares = append(loads, l), append(shares, 100*l.slow/l.n)
	}
	return loads, shares
}

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// A candidate with 5% errors against 0.1%, with a 20th of 200 requests a second,
// where errors have 0.4 of a bound of 0.5% on false rollbacks.
func TestFivePercentErrorsAreFoundInSeconds(t *testing.T) {
	for _, test := range []struct {
		name        string
		block       time.Duration
		burst       float64
		most        time.Duration
		mostFailing int64
	}{
		{"where no block of 10 s may decide alone", 10 * time.Second, 3, 25 * time.Second, 15},
		{"where no block of 2 s may decide alone", 2 * time.Second, 5, 10 * time.Second, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := fullPolicy()
			p.Unit.Block, p.Metrics[0].BurstCap = config.Duration(test.block), test.burst
			p.Metrics[0].Weight, p.Metrics[1].Weight = 0.4, 0.6
			var times []time.Duration
			var failed []int64
			for seed := range uint64(601) {
				tr := newTraffic(seed, 200)
				tr.stable, tr.candidate = always(0.001), always(0.05)
				s := newSequential(p)
				at, alarmed := tr.alarm(s, 2*time.Minute, 1)
				assert.True(t, alarmed, "seed %d: %s", seed, s.a.Reason)
				times, failed = append(times, at), append(failed, s.e.Candidate.Bad)
			}
			slices.Sort(failed)
			t.Logf("median %s, %d failed requests", median(times), failed[len(failed)/2])
			assert.LessOrEqual(t, median(times), test.most)
			assert.LessOrEqual(t, failed[len(failed)/2], test.mostFailing)
		})
	}
}

// Published medians at a bound of 1%, one pod of 20, 10 requests a second each:
// 30 s for half as slow again, 80 s for a fifth.
func TestSlowerPodsAreFoundInBlocks(t *testing.T) {
	for _, test := range []struct {
		name   string
		slower float64
		most   time.Duration
	}{
		{"half as slow again", 1.5, 40 * time.Second},
		{"a fifth slower", 1.2, 100 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := latencyPolicy(1.1)
			p.Confidence.FalseRollback = 10_000
			const before = 20 * time.Second // stable alone
			var times []time.Duration
			for seed := range uint64(21) {
				f := queues(seed, 19, 1, 200, 500, 0.6)
				f.slower = always(test.slower)
				f.share = func(at time.Duration) uint32 {
					if at < before {
						return 0
					}
					return 500
				}
				a, at := f.run(p, 5*time.Minute, Harmful)
				assert.Equal(t, Harmful, a.Verdict, a.Reason)
				times = append(times, at-before)
			}
			t.Logf("median %s", median(times))
			assert.LessOrEqual(t, median(times), test.most)
		})
	}
}

// Published medians at a bound of 1%, half the traffic: 49 s without new starts,
// 22 s with them, 12 s for one who knows the moment.
func TestWhatGoesWrongLateIsFoundAlmostAsSoon(t *testing.T) {
	p := boundaryPolicy()
	p.Confidence.FalseRollback = 10_000
	const good = 20 * time.Minute
	var times []time.Duration
	for seed := range uint64(31) {
		tr := newTraffic(seed, 200)
		tr.share, tr.stable = always[uint32](5000), always(0.001)
		tr.candidate = func(at time.Duration) float64 {
			if at < good {
				return 0.001
			}
			return 0.01
		}
		at, alarmed := tr.alarm(newSequential(p), good+5*time.Minute, 4)
		assert.True(t, alarmed)
		times = append(times, at-good)
	}
	t.Logf("median %s", median(times))
	assert.LessOrEqual(t, median(times), 32*time.Second)
}

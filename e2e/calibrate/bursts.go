package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// burstFleet is 20 pods, one of them the candidate's, that share 200 requests a
// second and fail .1% of them; now and then a pod fails 30% for 5 s.
type burstFleet struct {
	rng   *rand.Rand
	rate  float64   // the candidate's errors
	until []float64 // per pod: when its present burst ends
	next  []float64 // per pod: when its next begins
	gap   float64   // mean seconds between; +Inf for none
}

func newBurstFleet(seed uint64, perHalfHour, rate float64) *burstFleet {
	b := &burstFleet{rng: rand.New(rand.NewPCG(seed, 6)), rate: rate, until: make([]float64, 20), next: make([]float64, 20), gap: 1800 / perHalfHour}
	for i := range b.next {
		b.next[i] = b.rng.ExpFloat64() * b.gap
	}
	return b
}

// failing is a pod's error rate at a second.
func (b *burstFleet) failing(pod int, at, base float64) float64 {
	if at >= b.next[pod] {
		b.until[pod] = b.next[pod] + 5
		b.next[pod] += b.rng.ExpFloat64() * b.gap
	}
	if at < b.until[pod] {
		return max(base, .3)
	}
	return base
}

func (b *burstFleet) window(index int64) (analysis.Closed, int64) {
	at := float64(index) * analysis.WindowLength.Seconds()
	stable, candidate := countsOf(index, "v1", 500, 0), countsOf(index, "v2", 500, 0)
	for pod := range 20 {
		n := poisson(b.rng, 10*analysis.WindowLength.Seconds())
		if pod == 0 {
			candidate.Requests, candidate.Errors = n, binomial(b.rng, n, b.failing(pod, at, b.rate))
			continue
		}
		stable.Requests += n
		stable.Errors += binomial(b.rng, n, b.failing(pod, at, .001))
	}
	return analysis.Closed{Windows: []analysis.Window{stable, candidate}, Shares: map[uint64]uint32{500: 500}}, candidate.Errors
}

func (b *burstFleet) alarm(e engine, enough float64, whole time.Duration) float64 {
	for index := range int64(whole / analysis.WindowLength) {
		c, errors := b.window(index)
		e.update(c)
		if (errors > 0 || index%40 == 0) && e.harm() >= enough {
			return seconds(index)
		}
	}
	return math.Inf(1)
}

// bursts is T6: how often pods' short bursts of errors blame an equal candidate,
// and what a cap on a block's evidence costs.
func bursts() []experiment {
	var all []experiment
	capped := func(limit float64) config.PolicySpec {
		p := versusPolicy(1, 2)
		p.Metrics[0].BurstCap = limit
		return p
	}
	atOnce := deviation{"a block's evidence counts as it comes, up to the cap, and not when the block ends", .45, 1.3, 1}
	for _, c := range []struct {
		what      string
		limit     float64
		published [3]float64
		detection [3]float64
		apart     float64
		off       deviation
	}{
		{"requests", uncapped, [3]float64{.018, .138, .305}, [3]float64{48, 6, 1}, .4, few(1)},
		{"requests, 3 nats a block", 3, [3]float64{.013, .055, .143}, [3]float64{70, 20, 20}, .1, atOnce},
	} {
		for i, rate := range []float64{0, .2, 1} {
			all = append(all, experiment{
				table: "T6", runs: 400, what: fmt.Sprintf("%s: equal, %g bursts per pod in 30 minutes, alpha .05", c.what, rate),
				once: func(seed uint64, with engines) float64 {
					return newBurstFleet(seed, rate, .001).alarm(with(capped(c.limit)), needed(.05), 30*time.Minute)
				},
				want: []want{{of: found, published: c.published[i], off: apart("with restarts, a burst after a long good spell counts in full", c.apart)}},
			})
		}
		for i, rate := range []float64{.01, .05, .5} {
			all = append(all, experiment{
				table: "T6", unit: "s", runs: 400, what: fmt.Sprintf("%s: errors .1%% to %g%%, 1 pod of 20, alpha .01", c.what, rate*100),
				once: func(seed uint64, with engines) float64 {
					return newBurstFleet(seed, 0, rate).alarm(with(capped(c.limit)), needed(.01), 30*time.Minute)
				},
				want: []want{{of: median, published: c.detection[i], off: c.off}},
			})
		}
	}
	return all
}

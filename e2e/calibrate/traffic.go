package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// traffic is counts of requests and errors of both arms, window by window. Each
// share is an epoch of its own.
type traffic struct {
	rng       *rand.Rand
	perWindow float64 // requests, on average
	share     func(at time.Duration) uint32
	stable    func(at time.Duration) float64 // error rates
	candidate func(at time.Duration) float64
	seen      counts // of the candidate
}

func newTraffic(seed uint64, perWindow float64, share uint32, base, rate float64) *traffic {
	return &traffic{
		rng: rand.New(rand.NewPCG(seed, 2024)), perWindow: perWindow,
		share: always(share), stable: always(base), candidate: always(rate),
	}
}

func always[T any](x T) func(time.Duration) T { return func(time.Duration) T { return x } }

// ramp is 5, 10, 25 and 50%, a quarter of the time each.
func ramp(whole time.Duration) func(time.Duration) uint32 {
	return func(at time.Duration) uint32 { return []uint32{500, 1000, 2500, 5000}[min(3, int(4*at/whole))] }
}

// drifting is an error rate that both arms share: it grows from 0.5 to 1.25% and
// swings by half.
func drifting(whole time.Duration) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		part := at.Seconds() / whole.Seconds()
		return (0.005 + 0.0075*part) * (1 + 0.5*math.Sin(6*math.Pi*part))
	}
}

// window is both arms' counts of one index, and the candidate's errors among them.
func (t *traffic) window(index int64) (analysis.Closed, int64) {
	at := time.Duration(index) * analysis.WindowLength
	share := t.share(at)
	n := poisson(t.rng, t.perWindow)
	c := binomial(t.rng, n, float64(share)/1e4)
	stable, candidate := countsOf(index, "v1", share, n-c), countsOf(index, "v2", share, c)
	stable.Errors = binomial(t.rng, n-c, t.stable(at))
	candidate.Errors = binomial(t.rng, c, t.candidate(at))
	t.seen.add(candidate)
	return analysis.Closed{
		Windows: []analysis.Window{stable, candidate},
		Shares:  map[uint64]uint32{uint64(share): share},
	}, candidate.Errors
}

func countsOf(index int64, version string, share uint32, requests int64) analysis.Window {
	return analysis.Window{
		WindowKey: analysis.WindowKey{Index: index, Version: version, Epoch: uint64(share), Pod: version + ":1"},
		Requests:  requests,
	}
}

// alarm is the first index after which evidence of harm is enough; -1 for never.
// Harm only ever grows with an error of the candidate's, so it looks then.
func (t *traffic) alarm(e engine, enough float64, windows int64) int64 {
	for index := range windows {
		c, errors := t.window(index)
		e.update(c)
		if errors > 0 && e.harm() >= enough {
			return index
		}
	}
	return -1
}

// passed is the first index after which evidence of safety is enough; -1 for never.
func (t *traffic) passed(e engine, method string, enough float64, windows int64) int64 {
	for index := range windows {
		c, _ := t.window(index)
		e.update(c)
		if e.safe("errors", method) >= enough {
			return index
		}
	}
	return -1
}

func poisson(rng *rand.Rand, mean float64) (n int64) {
	if mean > 500 { // normal, and far from 0
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
	}
	least := math.Exp(-mean)
	for p := rng.Float64(); p > least; p *= rng.Float64() {
		n++
	}
	return n
}

// binomial counts successes; it jumps from one to the next.
func binomial(rng *rand.Rand, n int64, p float64) (x int64) {
	switch {
	case p <= 0:
		return 0
	case p >= 1:
		return n
	}
	per := 1 / math.Log1p(-p)
	for at := int64(math.Log(1-rng.Float64()) * per); at < n; at += 1 + int64(math.Log(1-rng.Float64())*per) {
		x++
	}
	return x
}

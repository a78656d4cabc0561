package analysis

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// traffic is a stream of requests to both arms, one window at a time.
type traffic struct {
	rng   *rand.Rand
	rps   float64
	share func(at time.Duration) uint32 // basis points of the candidate; each value is an epoch of its own

	stable, candidate func(at time.Duration) float64 // error rates
}

func newTraffic(seed uint64, rps float64) traffic {
	return traffic{rng: rand.New(rand.NewPCG(seed, 1)), rps: rps, share: always[uint32](500)}
}

func always[T any](x T) func(time.Duration) T { return func(time.Duration) T { return x } }

// ramp is 5, 10, 25 and 50%, a quarter of the time each.
func ramp(whole time.Duration) func(time.Duration) uint32 {
	return func(at time.Duration) uint32 {
		return []uint32{500, 1000, 2500, 5000}[min(3, int(4*at/whole))]
	}
}

// window is both arms' counts of one index.
func (t traffic) window(index int64) Closed {
	at := time.Duration(index) * WindowLength
	share := t.share(at)
	n := poisson(t.rng, t.rps*WindowLength.Seconds())
	candidate := binomial(t.rng, n, float64(share)/1e4)
	epoch := uint64(share)
	return Closed{
		Windows: []Window{
			windowOf(index, "v1", epoch, "a:1", n-candidate, binomial(t.rng, n-candidate, t.stable(at))),
			windowOf(index, "v2", epoch, "b:1", candidate, binomial(t.rng, candidate, t.candidate(at))),
		},
		Shares: map[uint64]uint32{epoch: share},
	}
}

// engine decides from closed windows. The calibration feeds several of them.
type engine interface {
	update(c Closed)
	harmful() bool
}

// alarm is when an engine that looks after every perLook windows takes the traffic
// for harmful.
func (t traffic) alarm(e engine, whole time.Duration, perLook int64) (time.Duration, bool) {
	for first := int64(0); first < int64(whole/WindowLength); first += perLook {
		var c Closed
		for index := first; index < first+perLook; index++ {
			w := t.window(index)
			c.Windows, c.Shares = append(c.Windows, w.Windows...), w.Shares
		}
		e.update(c)
		if e.harmful() {
			return time.Duration(first+perLook) * WindowLength, true
		}
	}
	return whole, false
}

// sequential is the engine of this package.
type sequential struct {
	p config.PolicySpec
	e Evidence
	a Assessment
}

func newSequential(p config.PolicySpec) *sequential {
	return &sequential{p: p, e: NewEvidence(p, testArms())}
}

func (s *sequential) update(c Closed) { s.e = s.e.Update(s.p, c) }

func (s *sequential) harmful() bool {
	s.a = Judge(s.p, s.e, time.Unix(0, 0))
	return s.a.Verdict == Harmful
}

// pooled is the same test on the same counts, but added up over the whole ramp:
// the mistake that this package exists to avoid.
type pooled struct {
	alpha float64
	sum   stratum
}

func (p *pooled) update(c Closed) {
	for _, s := range strata(inOrder(c.Windows, testArms()), testArms()) {
		p.sum.stable.requests += s.stable.requests
		p.sum.stable.errors += s.stable.errors
		p.sum.candidate.requests += s.candidate.requests
		p.sum.candidate.errors += s.candidate.errors
	}
}

func (p *pooled) harmful() bool {
	d, informative := newDraw(p.sum)
	if !informative {
		return false
	}
	mean := 0.0
	for _, shift := range shiftsOf() {
		mean += math.Exp(d.log(shift)-d.log(0)) / shifts
	}
	return mean >= 1/p.alpha
}

func poisson(rng *rand.Rand, mean float64) (n int64) {
	least := math.Exp(-mean)
	for p := rng.Float64(); p > least; p *= rng.Float64() {
		n++
	}
	return n
}

// binomial counts successes; it jumps from one to the next.
func binomial(rng *rand.Rand, n int64, p float64) (x int64) {
	if p <= 0 {
		return 0
	}
	per := 1 / math.Log1p(-p)
	for at := int64(math.Log(1-rng.Float64()) * per); at < n; at += 1 + int64(math.Log(1-rng.Float64())*per) {
		x++
	}
	return x
}

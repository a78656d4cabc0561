package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// fleet is pods that each serve a queue of their own, first come, first served:
// requests of one pod are alike and those of two pods are not.
type fleet struct {
	rng               *rand.Rand
	stable, candidate int     // pods
	rps               float64 // of all
	share             func(at time.Duration) uint32
	median, sigma     float64 // of the service time: seconds, log
	slower            float64 // the candidate's service time
	load              func(at time.Duration) float64
	queueless         bool

	speeds []float64
	names  []string
	free   []float64 // when each pod is done with its queue
	next   float64   // arrival
}

// newFleet is pods with 10 requests a second each that are busy for a part of the
// time.
func newFleet(seed uint64, stable, candidate int, busy float64) *fleet {
	f := &fleet{
		rng: rand.New(rand.NewPCG(seed, 7)), stable: stable, candidate: candidate,
		rps: 10 * float64(stable+candidate), sigma: 0.5, median: busy / 10 * math.Exp(-0.125),
		share: always(uint32(1e4 * candidate / (stable + candidate))), slower: 1, load: always(1.0),
		free: make([]float64, stable+candidate),
	}
	for i := range f.free {
		f.names = append(f.names, "pod-"+strconv.Itoa(i))
		f.speeds = append(f.speeds, 1)
	}
	return f
}

// vary gives each pod a speed of its own.
func (f *fleet) vary(sd float64) {
	for i := range f.speeds {
		f.speeds[i] = math.Exp(sd * f.rng.NormFloat64())
	}
}

// alone is how long stable serves before the candidate has a share.
const alone = 20 * time.Second

// sinceAlone gives the candidate its share only then, when stable's quantiles are known,
// and is until's from that moment on.
func (f *fleet) sinceAlone(e engine, block, whole time.Duration, holds func(engine) bool) float64 {
	share := f.share
	f.share = func(at time.Duration) uint32 {
		if at < alone {
			return 0
		}
		return share(at)
	}
	return f.until(e, block, whole, holds) - alone.Seconds()
}

// window serves one index.
func (f *fleet) window(index int64) analysis.Closed {
	at := time.Duration(index) * analysis.WindowLength
	share := f.share(at)
	ws := make([]analysis.Window, len(f.free))
	for i := range ws {
		version := "v1"
		if i >= f.stable {
			version = "v2"
		}
		ws[i] = countsOf(index, version, share, 0)
		ws[i].Pod = f.names[i]
	}
	rps := f.rps * f.load(at)
	for end := (at + analysis.WindowLength).Seconds(); f.next < end; f.next += f.rng.ExpFloat64() / rps {
		f.serve(ws, float64(share)/1e4, f.load(at))
	}
	return analysis.Closed{Windows: ws, Shares: map[uint64]uint32{uint64(share): share}}
}

func (f *fleet) serve(ws []analysis.Window, share, load float64) {
	pod, slower := f.rng.IntN(f.stable), 1.0
	if f.rng.Float64() < share {
		pod, slower = f.stable+f.rng.IntN(f.candidate), f.slower
	}
	took := f.median * slower * f.speeds[pod] * math.Exp(f.sigma*f.rng.NormFloat64())
	if f.queueless {
		took *= load // what all wait for alike
	} else {
		f.free[pod] = max(f.free[pod], f.next) + took
		took = f.free[pod] - f.next
	}
	ws[pod].Requests++
	ws[pod].Latencies.Add(time.Duration(took * float64(time.Second)))
}

// until runs the fleet until something holds at the end of a block, and gives when;
// +Inf for never.
func (f *fleet) until(e engine, block, whole time.Duration, holds func(engine) bool) float64 {
	perBlock := int64(block / analysis.WindowLength)
	for index := range int64(whole / analysis.WindowLength) {
		e.update(f.window(index))
		if index%perBlock == 0 && index > 0 && holds(e) { // a block's evidence comes with the next one's first window
			return float64(index) * analysis.WindowLength.Seconds()
		}
	}
	return math.Inf(1)
}

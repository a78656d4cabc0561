package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// fleet is pods that each serve their own queue, first come, first served: what
// makes requests of one pod alike and those of two pods different.
type fleet struct {
	rng                     *rand.Rand
	stable, candidate       int     // pods
	rps                     float64 // of all
	share                   func(at time.Duration) uint32
	median, sigma           float64 // of the service time, seconds and log
	slower                  func(at time.Duration) float64
	errors, candidateErrors float64

	free []float64 // when each pod is done with its queue
	next float64   // arrival
}

// window serves one index.
func (f *fleet) window(index int64) Closed {
	if f.free == nil {
		f.free = make([]float64, f.stable+f.candidate)
	}
	at := time.Duration(index) * WindowLength
	share := f.share(at)
	ws := make([]Window, f.stable+f.candidate)
	for i := range ws {
		version := "v1"
		if i >= f.stable {
			version = "v2"
		}
		ws[i] = windowOf(index, version, uint64(share), fmt.Sprintf("pod-%d", i), 0, 0)
	}
	for end := (at + WindowLength).Seconds(); f.next < end; f.next += f.rng.ExpFloat64() / f.rps {
		f.serve(ws, float64(share)/1e4, at)
	}
	return Closed{Windows: ws, Shares: map[uint64]uint32{uint64(share): share}}
}

func (f *fleet) serve(ws []Window, share float64, at time.Duration) {
	pod, slower, errors := f.rng.IntN(f.stable), 1.0, f.errors
	if f.rng.Float64() < share {
		pod, slower, errors = f.stable+f.rng.IntN(f.candidate), f.slower(at), f.candidateErrors
	}
	service := f.median * slower * math.Exp(f.sigma*f.rng.NormFloat64())
	f.free[pod] = max(f.free[pod], f.next) + service
	ws[pod].Requests++
	if f.rng.Float64() < errors {
		ws[pod].Errors++
		return
	}
	ws[pod].Latencies.Add(time.Duration((f.free[pod] - f.next) * float64(time.Second)))
}

// run feeds the fleet's windows until one of some verdicts, or for a time. It
// looks every two seconds, and says when it ended.
func (f *fleet) run(p config.PolicySpec, whole time.Duration, until ...Verdict) (Assessment, time.Duration) {
	const perLook = int64(2 * time.Second / WindowLength)
	e := NewEvidence(p, testArms())
	var a Assessment
	for index := range int64(whole / WindowLength) {
		e = e.Update(p, f.window(index))
		if index%perLook != perLook-1 {
			continue
		}
		at := time.Duration(index+1) * WindowLength
		a = Judge(p, e, time.Unix(0, int64(at)))
		if slices.Contains(until, a.Verdict) {
			return a, at
		}
	}
	return a, whole
}

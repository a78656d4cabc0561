package analysis

import (
	"testing"
	"time"
)

// A Watch costs next to nothing beside Envoy's 16 µs per log entry
// (research: envoy-facts §2): the second figure is requests per entry's time.
func BenchmarkWatchAdd(b *testing.B) {
	f := newBench(standard(), 500)
	f.pass(10*time.Second, 40, f.answers(8, twoPods(), ms(40), Succeeded))
	stable, candidate := f.request("v1", "a:1", ms(43), Succeeded), f.request("v2", "c:1", ms(41), Succeeded)
	for i := 0; b.Loop(); i++ {
		if i%20 == 0 {
			f.watch.Add(candidate)
			continue
		}
		f.watch.Add(stable)
	}
	b.ReportMetric(16e3/(float64(b.Elapsed().Nanoseconds())/float64(b.N)), "adds/entry")
}

// The worst look: something bad came for every suspect, and a minute is full.
func BenchmarkWatchLook(b *testing.B) {
	f := newBench(standard(), 500)
	f.pass(2*time.Minute, 40, f.answers(8, twoPods(), ms(40), Succeeded))
	for b.Loop() {
		for s := range f.watch.fresh {
			f.watch.fresh[s] = true
		}
		f.watch.Look(f.now)
	}
	b.ReportMetric(50e6/(float64(b.Elapsed().Nanoseconds())/float64(b.N)), "looks/50ms")
}

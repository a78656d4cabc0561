package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// fullPolicy judges errors and latency, each against stable and a limit.
func fullPolicy() config.PolicySpec {
	p := errorPolicy()
	most := config.Duration(800 * time.Millisecond)
	p.Metrics[0].Weight = 0.4
	p.Metrics = append(p.Metrics, config.Metric{
		Name: config.MetricLatency, Weight: 0.3, SLO: &config.SLO{P99: &most},
		VersusStable: &config.VersusStable{RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.3}},
	})
	return p.Default()
}

// podWindows is one index of 19 stable pods and a candidate's, 10 requests a second each.
func podWindows(rng *rand.Rand, index int64) []Window {
	var ws []Window
	for pod := range 20 {
		version := "v1"
		if pod == 0 {
			version = "v2"
		}
		w := windowOf(index, version, 1, fmt.Sprintf("10.0.0.%d:8000", pod), poisson(rng, 2.5), 0)
		w.Errors = binomial(rng, w.Requests, 0.01)
		for range w.Requests - w.Errors {
			took := time.Duration(float64(40*time.Millisecond) * math.Exp(0.3*rng.NormFloat64()))
			w.Latencies.Add(took)
			w.FirstBytes.Add(took / 3)
			w.PerToken.Add(took / 20)
		}
		ws = append(ws, w)
	}
	return ws
}

// One decision: the windows of a quarter of a second come in, and the verdict is asked.
func BenchmarkUpdateAndJudgeTwentyPods(b *testing.B) {
	for name, p := range map[string]config.PolicySpec{"two metrics": fullPolicy(), "four metrics": fourMetrics()} {
		b.Run(name, func(b *testing.B) { benchmarkDecision(b, p) })
	}
}

func benchmarkDecision(b *testing.B, p config.PolicySpec) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	windows := make([][]Window, 400)
	for i := range windows {
		windows[i] = podWindows(rng, int64(i))
		slices.SortFunc(windows[i], func(a, b Window) int { return a.Compare(b.WindowKey) }) // as Bins gives them
	}
	shares := map[uint64]uint32{1: 500}
	e := NewEvidence(p, testArms())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ws := windows[i%len(windows)]
		for k := range ws {
			ws[k].Index = int64(i)
		}
		e = e.Update(p, Closed{Windows: ws, Shares: shares})
		if a := Judge(p, e, time.Unix(0, 0)); a.Verdict == Harmful {
			b.Fatal(a.Reason)
		}
	}
}

package main

import (
	"fmt"
	"math"
	"time"
)

// promotions is T8: how long an equal candidate takes to pass, beta .05.
func promotions() []experiment {
	var all []experiment
	for _, c := range []struct {
		share                  uint32
		base, median, p90, per float64
	}{
		{500, .001, 239_800, 518_000, 1000},
		{5000, .001, 60_400, none(), 500},
		{500, .01, 22_800, none(), 200},
		{5000, .01, 7_200, none(), 100},
	} {
		all = append(all, experiment{
			table: "T8", unit: "requests", runs: 200, what: fmt.Sprintf("errors %g%% at %d%%, margin 2x", c.base*100, c.share/100),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, c.per, c.share, c.base, c.base)
				return requestsAt(t.passed(with(versusPolicy(1.5, 2)), "errors-versus", needed(.05), int64(20*c.median/c.per)), c.per)
			},
			want: wants(c.median, c.p90, deviation{}),
		})
	}
	for _, c := range []struct{ limit, rate, median, p90, per float64 }{
		{.01, .001, 400, 940, 10},
		{.01, .003, 940, none(), 20},
		{.01, .005, 2_110, none(), 50},
		{.002, .001, 10_560, none(), 200},
	} {
		all = append(all, experiment{
			table: "T8", unit: "requests", runs: 400, what: fmt.Sprintf("limit %g%%, true %g%%", c.limit*100, c.rate*100),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, c.per, 10_000, 0, c.rate)
				return requestsAt(t.passed(with(limitPolicy(c.limit)), "slo", needed(.05), int64(40*c.median/c.per)), c.per)
			},
			want: wants(c.median, c.p90, deviation{"without an error evidence grows by whole windows", .9, 1.1, 2 * c.per}),
		})
	}
	return append(all, latencyPromotions()...)
}

func wants(mid, most float64, off deviation) []want {
	ws := []want{{of: median, published: mid, off: off}}
	if !math.IsNaN(most) {
		ws = append(ws, want{of: ninety, published: most, off: off})
	}
	return ws
}

func latencyPromotions() []experiment {
	off := blocks("every pod's last bucket counts in full, so equal shares tie less", 10)
	var all []experiment
	for _, c := range []struct {
		margin            float64
		stable, candidate int
		published         [3]float64
	}{
		{1.33, 19, 1, [3]float64{50, 120, 280}},
		{1.21, 19, 1, [3]float64{110, 250, 510}},
		{1.33, 3, 1, [3]float64{80, 160, 320}},
	} {
		for i, metric := range []string{"latency-p50", "latency-p95", "latency-p99"} {
			all = append(all, experiment{
				table: "T8", unit: "s", runs: 60,
				what: fmt.Sprintf("%s, %d of %d pods, .6 busy, margin %g", metric, c.candidate, c.stable+c.candidate, c.margin),
				once: func(seed uint64, with engines) float64 {
					const block = 10 * time.Second
					f := newFleet(seed, c.stable, c.candidate, .6)
					return f.sinceAlone(with(latencyPolicy(1.1, c.margin, block)), block, 40*time.Minute, func(e engine) bool {
						return e.safe(metric, "pod-rank") >= needed(.05)
					})
				},
				want: wants(c.published[i], none(), off),
			})
		}
	}
	return all
}

package main

import (
	"math"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// uncapped is a burst cap that caps nothing.
const uncapped = 1000

// versusPolicy compares errors with stable and nothing else.
func versusPolicy(tolerance, margin float64) config.PolicySpec {
	return config.PolicySpec{Metrics: []config.Metric{{
		Name: config.MetricErrors, BurstCap: uncapped,
		VersusStable: &config.VersusStable{RollbackIf: config.Above(tolerance), PromoteIf: config.Below{Ratio: margin}},
	}}}.Default()
}

// limitPolicy holds errors against an absolute limit and nothing else.
func limitPolicy(most float64) config.PolicySpec {
	limit := config.Percent(math.Round(most * config.PerMillion))
	return config.PolicySpec{Metrics: []config.Metric{{
		Name: config.MetricErrors, BurstCap: uncapped, SLO: &config.SLO{Max: &limit},
	}}}.Default()
}

// latencyPolicy compares latencies with stable and nothing else.
func latencyPolicy(tolerance, margin float64, block time.Duration) config.PolicySpec {
	p := config.PolicySpec{
		Unit: config.Unit{Block: config.Duration(block)},
		Metrics: []config.Metric{{
			Name:         config.MetricLatency,
			VersusStable: &config.VersusStable{RollbackIf: config.Above(tolerance), PromoteIf: config.Below{Ratio: margin}},
		}},
	}.Default()
	p.Warmup = config.Warmup{}
	return p
}

// needed is the log e-value that a bound on mistakes asks for.
func needed(alpha float64) float64 { return -math.Log(alpha) }

func none() float64 { return math.NaN() }

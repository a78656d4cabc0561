package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/sluice-dev/sluice/canary/forecast"
	"github.com/sluice-dev/sluice/config"
)

// queuedRollouts is the other half of H2: whole rollouts, trips and their settling
// included, of an equal candidate whose pods, two of each version, have queues of
// their own. A rollout that a trip ends counts as rolled back.
func queuedRollouts() []experiment {
	var all []experiment
	for _, busy := range []float64{.3, .6, .8} {
		for _, c := range []struct {
			rate config.Percent
			runs int
		}{{5_000, 1500}, {10_000, 500}, {50_000, 500}} {
			p := config.Standard() // with a tolerance of 10%
			p.Confidence.FalseRollback = c.rate
			all = append(all, experiment{
				table: "H2", runs: c.runs,
				what: fmt.Sprintf("equal, whole rollouts at 20 rps, 2 and 2 pods, %g busy, the standard policy: rolled back at %s", busy, c.rate),
				once: func(seed uint64, _ engines) float64 { return rolledBack(p, busy, seed) },
				want: []want{{of: found, published: none(), most: c.rate.Fraction()}},
			})
		}
	}
	return all
}

// rolledBack is 1 where a rollout of an equal candidate was rolled back, and
// otherwise +Inf.
func rolledBack(p config.PolicySpec, busy float64, seed uint64) float64 {
	f, err := forecast.Healthy(context.Background(), forecast.Config{
		Policy: p, Mirroring: config.MirroringAllowed, Rate: 20, Errors: .001, Busy: busy, Trials: 1, Seed: seed + 1,
		Steps: []config.Step{{Weight: 50_000}, {Weight: 500_000, For: config.Duration(2 * time.Minute)}},
	})
	if err != nil {
		panic(err) // every value above is within bounds
	}
	if f.Healthy.RolledBack == 0 {
		return math.Inf(1)
	}
	return 1
}

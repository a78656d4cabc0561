package main

import (
	"fmt"
	"math"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// harmfulRollouts is the whole of H3: how many live requests a candidate that fails
// 5% instead of .5% of them gets before it has lost its share for good, in whole
// rollouts under the standard policy, trips and their settling included.
func harmfulRollouts() []experiment {
	var all []experiment
	for _, rate := range []float64{40, 200} {
		all = append(all, experiment{
			table: "H3", unit: "requests", runs: 1000,
			what: fmt.Sprintf("errors .5%% to 5%%, whole rollouts at %g rps from 5%% on, the standard policy: candidate requests served", rate),
			once: func(seed uint64, _ engines) float64 {
				v := world.Version{Pods: 2, Service: world.Lognormal{Median: 40 * time.Millisecond, Sigma: 0.3}, Errors: .005}
				w := world.Spec{Seed: seed + 1, Rate: rate, Stable: v, Candidate: v}
				w.Candidate.Errors = .05
				r := rollout(config.Standard(), w)
				if r.Outcome != canary.OutcomeRolledBack && r.Phase != canary.Tripped {
					return math.Inf(1)
				}
				return float64(r.Truth.Candidate)
			},
			want: []want{{of: ninety5, published: none()}, {of: median, published: none()}},
		})
	}
	return all
}

// rollout runs one from v1 to v2, two pods each, to its end.
func rollout(p config.PolicySpec, w world.Spec) world.Result {
	w.Network.LoadEvery = time.Second
	trial, err := world.NewTrial(world.TrialSpec{
		World: w, Key: config.Key{Namespace: "calibrate", Name: "route"}, Policy: p,
		Route: config.RouteSpec{
			Versions: []config.Version{
				{Name: "v1", Endpoints: []string{"10.0.0.1:8000", "10.0.0.2:8000"}},
				{Name: "v2", Endpoints: []string{"10.0.0.3:8000", "10.0.0.4:8000"}},
			},
			InitialStable: "v1", Target: "v2", Mirroring: config.MirroringAllowed,
			Strategy: config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Weight: 50_000}, {Weight: 100_000}, {Weight: 250_000}, {Weight: 500_000}}}},
		},
	})
	if err != nil {
		panic(err) // every value above is within bounds
	}
	return trial.Run(p.Limits.MaxDuration.D() + time.Minute)
}

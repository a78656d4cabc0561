package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// scenario is a kind of world that rollouts are tried in.
type scenario struct {
	name   string
	about  string
	trials int // at full length
	most   time.Duration
	world  func(seed uint64) world.Spec
	policy config.PolicySpec
	last   time.Duration // least time of the last step; 0 is the policy's
	limits limits
}

// limits are what must hold. Zero values ask for nothing.
type limits struct {
	rolledBack float64 // largest share, upper bound
	promoted   float64 // least share
	tripped    float64 // largest share that ever trips
	twice      float64 // largest share that trips twice or more
	asked      bool    // that the shares above are asked for

	cleared time.Duration // longest median time at weight 0 of a cleared trip

	exposure      time.Duration // longest median
	worstExposure time.Duration
	failed        int // largest median
}

// scenarios are those of the rollback race, healthy ones first. One policy, the
// built-in one, and one set of steps for all.
func scenarios() []scenario {
	healthy := limits{rolledBack: 0.01, promoted: 0.99, tripped: 0.02, twice: 0.001, cleared: time.Minute, asked: true}
	bursty := healthy
	bursty.tripped, bursty.twice = 0.10, 0.01
	all := []scenario{
		{
			name: "S4", about: "an identical version; pods with queues of their own, half the trials at 0.3 and half at 0.6 utilisation; 20 rps, 0.5% errors",
			trials: 3000, most: longest, world: queued(world.Bursts{}), limits: healthy,
		},
		{
			name: "T6", about: "as S4, and 0.2 bursts of errors per pod and half hour, 5s at 30%",
			trials: 1000, most: longest, world: queued(world.Bursts{PerHour: 0.4, Length: 5 * time.Second, Errors: 0.3}), limits: bursty,
		},
		{
			name: "S3-healthy", about: "S3 with nothing wrong: no queues, 50 rps, 0.1% errors",
			trials: 1000, most: longest, world: faulty(50, world.Fault{}), limits: healthy,
		},
		{
			name: "S4-held", about: "as S4 at 0.6 utilisation, kept at 50% for 35 minutes, where a pod's requests share its queue most",
			trials: 300, most: longest, world: crowded, last: 35 * time.Minute, limits: few(healthy),
		},
		{
			name: "S4-slow", about: "an identical version whose answers take 2s, σ 0.8, while failures come at once; 20 rps, 0.5% errors",
			trials: 300, most: longest, world: sluggish, limits: few(healthy),
		},
		{
			name: "S1", about: "every candidate request fails; 50 rps",
			trials: 200, most: 5 * time.Minute, world: faulty(50, world.Fault{Errors: 1}),
			limits: limits{exposure: 1500 * time.Millisecond, worstExposure: 5 * time.Second, failed: 4},
		},
		{
			name: "S1-late", about: "healthy for 15s, then every candidate request fails; 50 rps",
			trials: 200, most: 5 * time.Minute, world: faulty(50, world.Fault{After: 15 * time.Second, Errors: 1}),
			limits: limits{exposure: 2 * time.Second, failed: 10},
		},
		{
			name: "S2", about: "5% errors against 0.1%; 200 rps",
			trials: 200, most: 5 * time.Minute, world: faulty(200, world.Fault{Errors: 0.049}),
			limits: limits{exposure: 10 * time.Second, failed: 20},
		},
		{
			name: "S3", about: "answers take twice as long; 50 rps",
			trials: 200, most: 5 * time.Minute, world: faulty(50, world.Fault{Slowdown: 2}),
			limits: limits{exposure: 8 * time.Second, worstExposure: 20 * time.Second},
		},
	}
	for i := range all {
		all[i].policy = config.Standard()
	}
	return all
}

// longest is how long a rollout may take: maxDuration, and a minute to act on it.
const longest = 46 * time.Minute

func service() world.Lognormal { return world.Lognormal{Median: 40 * time.Millisecond, Sigma: 0.3} }

// queued is a world of two identical versions whose pods have queues and a load of
// their own: to 0.3 of what they can do for odd seeds, to 0.6 for even ones.
func queued(b world.Bursts) func(uint64) world.Spec {
	return func(seed uint64) world.Spec {
		v := world.Version{Pods: 2, Service: service(), Servers: 1, Utilisation: 0.3, Errors: 0.005, Bursts: b}
		if seed%2 == 0 {
			v.Utilisation = 0.6
		}
		return world.Spec{Seed: seed, Rate: 20, Stable: v, Candidate: v}
	}
}

// crowded is queued at the higher utilisation.
func crowded(seed uint64) world.Spec {
	s := queued(world.Bursts{})(2)
	s.Seed = seed
	return s
}

// sluggish is a world of slow answers and quick failures.
func sluggish(seed uint64) world.Spec {
	v := world.Version{Pods: 2, Service: world.Lognormal{Median: 2 * time.Second, Sigma: 0.8}, Errors: 0.005}
	return world.Spec{Seed: seed, Rate: 20, Stable: v, Candidate: v}
}

// few are limits that a few hundred trials can prove.
func few(l limits) limits {
	l.rolledBack = 0.02
	return l
}

// faulty is a world without queues whose candidate has a fault.
func faulty(rate float64, f world.Fault) func(uint64) world.Spec {
	return func(seed uint64) world.Spec {
		v := world.Version{Pods: 2, Service: service(), Errors: 0.001}
		s := world.Spec{Seed: seed, Rate: rate, Stable: v, Candidate: v}
		s.Candidate.Faults = []world.Fault{f}
		return s
	}
}

// try runs one trial.
func (s scenario) try(seed uint64) (world.Result, error) {
	spec := s.world(seed)
	spec.Network.LoadEvery = time.Second
	trial, err := world.NewTrial(s.trial(spec))
	if err != nil {
		return world.Result{}, fmt.Errorf("%s, seed %d: %w", s.name, seed, err)
	}
	return trial.Run(s.most), nil
}

// trial is a rollout from v1 to v2 in a world.
func (s scenario) trial(in world.Spec) world.TrialSpec {
	last := config.Step{Weight: 500_000, For: config.Duration(s.last)}
	return world.TrialSpec{
		World: in, Key: config.Key{Namespace: "ml", Name: "filetype"}, Policy: s.policy,
		Route: config.RouteSpec{
			Versions: []config.Version{
				{Name: "v1", Endpoints: []string{"10.0.0.1:8000", "10.0.0.2:8000"}},
				{Name: "v2", Endpoints: []string{"10.0.0.3:8000", "10.0.0.4:8000"}},
			},
			InitialStable: "v1", Target: "v2", Mirroring: config.MirroringAllowed,
			Strategy: config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Weight: 50_000}, {Weight: 250_000}, last}}},
		},
	}
}

// onset is how long after its first request the candidate breaks.
func (s scenario) onset() time.Duration {
	for _, f := range s.world(1).Candidate.Faults {
		return f.After
	}
	return 0
}

func join(errs []error) error { return errors.Join(errs...) }

// Package forecast says what a rollout would be like before it runs: how long a
// healthy candidate takes and what it waits for, how often one is rolled back by
// chance, and how soon harmful ones are found. It tries rollouts in simulated
// worlds with the controller, the machine and the statistics that run in earnest.
// It decides nothing, and knows of no network: what a world lacks, it cannot
// foresee. Equal configs give equal forecasts.
//
// Start reading at Run, then try.
package forecast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// Config of a forecast.
type Config struct {
	Policy config.PolicySpec // parsed, with its defaults
	// Steps of the rollout. Default: 5%, 10%, 25% and 50%.
	Steps     []config.Step
	Mirroring config.Mirroring // default Forbidden

	Rate   float64 // requests per second of the inference route; required
	Errors float64 // share of stable's requests that fail
	// PerUnit is how many requests a sticky unit sends, on average: each stays with a
	// version, and counts once. 0: nothing is sticky, each request is drawn by itself.
	PerUnit float64
	// StablePods and CandidatePods. Default 2 each.
	StablePods, CandidatePods int
	// Latency of an answer, without waiting. Default a median of 50ms and sigma 0.4.
	Latency world.Lognormal
	// Measured are answers' times to draw from instead. Optional.
	Measured analysis.Buckets
	// Busy is how much of a pod's capacity is in use, from 0 to 0.95: its requests then
	// wait for one another, in a queue for as many servers as all traffic needs. 0: none
	// ever waits.
	Busy float64

	// Trials with a healthy candidate. Default 100.
	Trials int
	// PerEffect is trials with each harmful candidate. Default 20.
	PerEffect int
	Seed      uint64 // default 1

	// Progress hears how many of how many trials are done. Optional.
	Progress func(done, of int)
}

// errors: every value that is out of bounds.
func (c Config) check() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!(c.Rate > 0 && c.Rate <= 100_000), "rps: is not above 0 and at most 100000, found %v", c.Rate)
	refuse(!(c.Errors >= 0 && c.Errors < 1), "base-errors: is not from 0%% up and below 100%%, found %v%%", 100*c.Errors)
	refuse(c.PerUnit != 0 && !(c.PerUnit >= 1 && c.PerUnit <= world.MostPerUnit),
		"requests-per-unit: is not from 1 to %d, found %v", world.MostPerUnit, c.PerUnit)
	refuse(c.StablePods < 1 || c.StablePods > 1000, "pods: is not from 1 to 1000, found %d", c.StablePods)
	refuse(c.CandidatePods < 1 || c.CandidatePods > 1000, "candidate-pods: is not from 1 to 1000, found %d", c.CandidatePods)
	refuse(c.Latency.Median <= 0, "latency: is not above 0, found %s", c.Latency.Median)
	refuse(!(c.Latency.Sigma >= 0 && c.Latency.Sigma <= 3), "latency-sigma: is not from 0 to 3, found %v", c.Latency.Sigma)
	refuse(!(c.Busy >= 0 && c.Busy <= 0.95), "busy: is not from 0 to 0.95, found %v", c.Busy)
	refuse(c.Trials < 1, "trials: is below 1, found %d", c.Trials)
	refuse(c.PerEffect < 1, "per-effect: is below 1, found %d", c.PerEffect)
	refuse(len(c.Steps) == 0, "steps: are missing")
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if len(c.Steps) == 0 {
		for _, percent := range []config.Percent{5, 10, 25, 50} {
			c.Steps = append(c.Steps, config.Step{Weight: percent * config.PerMillion / 100})
		}
	}
	c.Policy.Metrics = slices.DeleteFunc(slices.Clone(c.Policy.Metrics), func(m config.Metric) bool {
		return m.Elsewhere() // no world has those: advice says so
	})
	or(&c.Mirroring, config.MirroringForbidden)
	or(&c.StablePods, 2)
	or(&c.CandidatePods, 2)
	or(&c.Latency, world.Lognormal{Median: 50 * time.Millisecond, Sigma: 0.4})
	or(&c.Trials, 100)
	or(&c.PerEffect, 20)
	or(&c.Seed, 1)
	return c
}

func or[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Run makes the whole forecast. It takes seconds to minutes, and ends early with
// ctx's error.
// errors: a config that is out of bounds, all facts at once.
func Run(ctx context.Context, c Config) (Forecast, error) {
	given := c.Policy
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return Forecast{}, err
	}
	effects := c.effects()
	b := &batch{Config: c, of: c.Trials + len(effects)*c.PerEffect + refinements*c.PerEffect}
	healthy, err := b.tryAll(ctx, effect{}, c.Trials)
	if err != nil {
		return Forecast{}, err
	}
	f := Forecast{Healthy: summarise(healthy, c), Steps: stepsOf(healthy, c)}
	caught := map[string][]Effect{}
	for _, e := range effects {
		tried, err := b.tryAll(ctx, e, c.PerEffect)
		if err != nil {
			return Forecast{}, err
		}
		seen := e.seen(tried)
		f.Effects = append(f.Effects, seen)
		caught[e.metric] = append(caught[e.metric], seen)
	}
	if f.Smallest, err = b.smallest(ctx, caught); err != nil {
		return Forecast{}, err
	}
	f.Advice = append(leftOut(given), advice(c, f)...)
	b.finish()
	return f, nil
}

// Healthy forecasts a healthy candidate alone.
func Healthy(ctx context.Context, c Config) (Forecast, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return Forecast{}, err
	}
	b := &batch{Config: c, of: c.Trials}
	healthy, err := b.tryAll(ctx, effect{}, c.Trials)
	if err != nil {
		return Forecast{}, err
	}
	return Forecast{Healthy: summarise(healthy, c), Steps: stepsOf(healthy, c)}, nil
}

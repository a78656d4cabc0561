package forecast

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// effect is what is wrong with a candidate, from its first request on.
type effect struct {
	metric string  // "errors" or "latency"; empty: nothing is wrong
	size   float64 // share of requests that fail; factor of the service time
}

func (e effect) fault(base float64) world.Fault {
	if e.metric == string(config.MetricErrors) {
		return world.Fault{Errors: max(0, e.size-base)}
	}
	return world.Fault{Slowdown: e.size}
}

// String says it in words.
func (e effect) String() string {
	if e.metric == string(config.MetricErrors) {
		return fmt.Sprintf("%.3g%% of requests fail", e.size*100)
	}
	return fmt.Sprintf("answers take %.3gx as long", e.size)
}

// effects is a ladder of harmful candidates, the smallest of each metric first, for
// the metrics that the policy judges.
func (c Config) effects() []effect {
	var all []effect
	for _, m := range c.Policy.Metrics {
		var sizes []float64
		switch m.Name {
		case config.MetricErrors:
			sizes = c.errorSizes()
		case config.MetricLatency:
			sizes = []float64{1.1, 1.25, 1.5, 2, 4}
		case config.MetricTTFB, config.MetricTPOT, config.MetricAnswers: // answers come whole in this world, and say nothing
		}
		for _, size := range sizes {
			all = append(all, effect{string(m.Name), size})
		}
	}
	return all
}

// errorSizes are multiples of stable's rate, and rates that nobody can miss.
func (c Config) errorSizes() []float64 {
	base := max(c.Errors, 1e-4)
	var sizes []float64
	for _, size := range []float64{2 * base, 5 * base, 10 * base, 0.01, 0.05, 0.2, 1} {
		if size > c.Errors && size <= 1 {
			sizes = append(sizes, size)
		}
	}
	slices.Sort(sizes)
	return slices.CompactFunc(sizes, func(next, last float64) bool { return next < 1.2*last })
}

// seen sums up the trials of a harmful candidate.
func (e effect) seen(all []tried) Effect {
	s := Effect{Metric: e.metric, Size: e.size, What: e.String(), Trials: len(all)}
	var after, exposure []time.Duration
	var hurt []float64
	steps := map[int]int{}
	for _, t := range all {
		truth := t.Truth
		exposure, hurt = append(exposure, truth.Exposure()), append(hurt, float64(truth.Hurt))
		if t.Outcome == canary.OutcomePromoted {
			s.Promoted++
		}
		if len(t.Trips) > 0 {
			s.Tripped++
		}
		if t.caught() {
			s.Caught++
			after = append(after, t.stopped())
			steps[t.furthest()]++
		}
		if t.Outcome == canary.OutcomeRolledBack {
			s.RolledBack++
		}
	}
	s.After, s.AfterP90 = inSeconds(quantile(after, 0.5)), inSeconds(quantile(after, 0.9))
	s.Exposure = inSeconds(quantile(exposure, 0.5))
	slices.Sort(hurt)
	s.Hurt = hurt[len(hurt)/2]
	for step, n := range steps {
		if n > steps[s.Step-1] || s.Step == 0 {
			s.Step = step + 1
		}
	}
	return s
}

// caught says whether the candidate lost its share: it was rolled back, or a trip
// took it away for good.
func (t tried) caught() bool {
	return t.Outcome == canary.OutcomeRolledBack || t.Outcome == "" && t.Phase == canary.Tripped
}

// stopped is how long after the candidate's first request its last one came.
func (t tried) stopped() time.Duration { return t.Truth.Exposure() }

func (t tried) furthest() (step int) {
	for i, s := range t.steps {
		if s.reached {
			step = i
		}
	}
	return step
}

// enough is the share of trials that must be caught for an effect to count as found.
const enough = 0.9

// refinements bounds how many further effects are tried, for both metrics.
const refinements = 6

// smallest narrows down, for each metric, the smallest effect that is caught often
// enough.
func (b *batch) smallest(ctx context.Context, ladder map[string][]Effect) ([]Smallest, error) {
	var all []Smallest
	for _, m := range b.Policy.Metrics {
		rungs := ladder[string(m.Name)]
		if len(rungs) == 0 {
			continue // nothing that a world can break
		}
		at := slices.IndexFunc(rungs, func(e Effect) bool { return e.share() >= enough })
		switch {
		case at < 0:
			all = append(all, Smallest{Metric: string(m.Name)})
			continue
		case at == 0:
			all = append(all, Smallest{Metric: string(m.Name), Size: rungs[0].Size, What: rungs[0].What, OrLess: true})
			continue
		}
		low, high := rungs[at-1].Size, rungs[at].Size
		for range refinements / 2 {
			e := effect{string(m.Name), math.Sqrt(low * high)}
			tried, err := b.tryAll(ctx, e, b.PerEffect)
			if err != nil {
				return nil, err
			}
			if e.seen(tried).share() >= enough {
				high = e.size
			} else {
				low = e.size
			}
		}
		all = append(all, Smallest{Metric: string(m.Name), Size: high, What: effect{string(m.Name), high}.String()})
	}
	return all, nil
}

func quantile(of []time.Duration, q float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	of = slices.Clone(of)
	slices.Sort(of)
	return of[min(int(q*float64(len(of))), len(of)-1)]
}

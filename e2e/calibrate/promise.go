package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// promises is what Sluice promises: H2, how often an equal candidate is rolled
// back, and H3, how soon harm is found.
func promises() []experiment {
	return slices.Concat(falseRollbacks(), queuedRollouts(), stickyUsers(), detections(), harmfulRollouts(), limits())
}

// falseRollbacks is H2: 20 requests a look, 3,000 looks, over a ramp while the error
// rate of both drifts.
func falseRollbacks() []experiment {
	const looks, perLook = 3000, 20
	const whole = looks * analysis.WindowLength
	var all []experiment
	for _, rate := range []config.Percent{10_000, 50_000} {
		for _, c := range []struct {
			what   string
			policy config.PolicySpec
		}{
			{"no tolerance", versusPolicy(1, 2)},
			{"the standard policy", config.Standard()},
		} {
			p := c.policy
			p.Confidence.FalseRollback = rate
			all = append(all, experiment{
				table: "H2", runs: 10_000, what: fmt.Sprintf("equal, %d looks at %d requests, ramp, drift, %s: rolled back at %s", looks, perLook, c.what, rate),
				once: func(seed uint64, _ engines) float64 { // the verdict is ours alone to give
					t := newTraffic(seed, perLook, 0, 0, 0)
					t.share, t.stable, t.candidate = ramp(whole), drifting(whole), drifting(whole)
					s := sequential{p: p, e: analysis.NewEvidence(p, arms())}
					return seconds(t.verdict(&s, analysis.Harmful, looks))
				},
				want: []want{{of: found, published: none(), most: rate.Fraction()}},
			})
		}
	}
	return all
}

// verdict is the first index after which the whole engine says so.
func (t *traffic) verdict(s *sequential, v analysis.Verdict, windows int64) int64 {
	for index := range windows {
		c, errors := t.window(index)
		s.update(c)
		if errors > 0 && s.judge().Verdict == v {
			return index
		}
	}
	return -1
}

// detections is H3. The bounds are on all of a rollout's tests together, trips not
// counted: those are faster still.
func detections() []experiment {
	var all []experiment
	for _, c := range []struct {
		what  string
		share uint32
		p     config.PolicySpec
		alpha float64
		most  float64
	}{
		{"alpha .01", 500, versusPolicy(1, 2), .01, 300},
		{"alpha .01, where stable has no more requests to compare with", 5000, versusPolicy(1, 2), .01, 0},
		{"a tolerance of 1.5x, alpha .01", 500, versusPolicy(1.5, 2), .01, 0},
		{"the standard policy's final tests, uncapped", 500, standardUncapped(), .005 * (1 - analysis.SettleShare), 0},
		{"the standard policy's final tests, 200 rps", 500, config.Standard(), .005 * (1 - analysis.SettleShare), 0},
	} {
		perWindow := 20.0
		if len(c.p.Metrics) > 1 {
			perWindow = 50 // a block's cap makes it a matter of time
		}
		all = append(all, experiment{
			table: "H3", unit: "requests", runs: 2000,
			what: fmt.Sprintf("errors .5%% to 5%% at %d%%, %s: candidate requests", c.share/100, c.what),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, perWindow, c.share, .005, .05)
				if t.alarm(with(c.p), needed(c.alpha), 20_000) < 0 {
					return math.Inf(1)
				}
				return t.seen.n
			},
			want: []want{{of: ninety5, published: none(), most: c.most}, {of: median, published: none()}},
		})
	}
	all = append(all, experiment{
		table: "H3", unit: "s", runs: 200, what: "1 pod of 20 1.5x as slow at p95, .6 busy, tolerance 1.10, alpha .01",
		once: func(seed uint64, with engines) float64 {
			f := newFleet(seed, 19, 1, .6)
			f.slower = 1.5
			p := latencyPolicy(1.1, 1.33, 10*time.Second)
			p.Metrics[0].Quantiles = []config.Quantile{.95}
			return f.sinceAlone(with(p), 10*time.Second, 20*time.Minute, harmful(.01))
		},
		want: []want{{of: median, published: none(), most: 40}, {of: ninety, published: none()}},
	})
	return all
}

func standardUncapped() config.PolicySpec {
	p := config.Standard()
	p.Metrics[0].BurstCap = uncapped
	return p
}

// limits are what no sequential test can beat: Wald's own, 1945, which knows both rates,
// at the bounds of the rows above. The engine knows neither, and learns stable's from the
// same few requests.
func limits() []experiment {
	standard := config.Standard()
	versus := standard.Metrics[0].Weight * 0.75 * 0.95 // the rest is the limit's, and client errors'
	var all []experiment
	for _, c := range []struct {
		what        string
		null, alpha float64
	}{
		{"alpha .01", .005, .01},
		{"a tolerance of 1.5x, alpha .01", .0075, .01},
		{"the standard policy's bound", .0075, .005 * (1 - analysis.SettleShare) * versus},
	} {
		all = append(all, experiment{
			table: "H3", unit: "requests", runs: 2000,
			what: fmt.Sprintf("errors %.3g%% or 5%%, a test that knows both, %s: candidate requests", c.null*100, c.what),
			once: func(seed uint64, _ engines) float64 { return wald(seed, c.null, .05, needed(c.alpha)) },
			want: []want{{of: ninety5, published: none()}, {of: median, published: none()}},
		})
	}
	return all
}

// wald is how many requests at the higher rate it takes to tell it from the null.
func wald(seed uint64, null, rate, enough float64) (n float64) {
	rng := rand.New(rand.NewPCG(seed, 1945))
	for log := 0.0; log < enough; n++ {
		if rng.Float64() < rate {
			log += math.Log(rate / null)
		} else {
			log += math.Log((1 - rate) / (1 - null))
		}
	}
	return n
}

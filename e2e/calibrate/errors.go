package main

import (
	"fmt"
	"math"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// errorDetection is T1, the left columns: requests of both arms until more errors
// than stable's are found.
func errorDetection() []experiment {
	var all []experiment
	for _, c := range []struct {
		share          uint32
		base, rate     float64
		tolerance      float64
		median, ninety float64
		perWindow      float64
		off            deviation
	}{
		{500, .001, .002, 1, 311_700, 622_700, 1000, mixture()},
		{500, .001, .003, 1, 95_900, 194_600, 500, mixture()},
		{500, .001, .01, 1, 10_200, 21_900, 100, mixture()},
		{500, .001, .05, 1, 1_100, 2_500, 20, few(100)},
		{500, .001, .5, 1, 120, 220, 10, few(30)},
		{5000, .001, .002, 1, 61_500, 124_600, 500, mixture()},
		{5000, .001, .01, 1, 2_400, 4_700, 50, mixture()},
		{5000, .001, .05, 1, 400, 600, 20, mixture()},
		{500, .001, .01, 1.5, 13_600, 28_200, 100, mixture()},
		{500, .001, .05, 1.5, 1_400, 3_100, 20, few(100)},
	} {
		all = append(all, experiment{
			table: "T1", unit: "requests", runs: 400,
			what: fmt.Sprintf("errors %.3g%% to %.3g%% at %d%%, tolerance %gx, alpha .01", c.base*100, c.rate*100, c.share/100, c.tolerance),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, c.perWindow, c.share, c.base, c.rate)
				index := t.alarm(with(versusPolicy(c.tolerance, 2*c.tolerance)), needed(.01), int64(20*c.ninety/c.perWindow))
				return requestsAt(index, c.perWindow)
			},
			want: wants(c.median, c.ninety, c.off),
		})
	}
	return all
}

// errorLimits is T1's bound on every sequential test, Wald's of 1945 for one that knows
// both rates: the nats that it takes over those that a request gives.
func errorLimits() []experiment {
	var all []experiment
	for _, c := range []struct{ share, base, rate, published float64 }{
		{.05, .001, .002, 254_640},
		{.05, .001, .003, 76_816},
		{.05, .001, .01, 7_518},
		{.05, .001, .05, 836},
		{.05, .001, .5, 65},
		{.5, .001, .002, 54_211},
		{.5, .001, .01, 2_155},
		{.5, .001, .05, 303},
	} {
		bad := c.share*c.rate + (1-c.share)*c.base
		part := c.share * c.rate / bad
		nats := bad * (part*math.Log(part/c.share) + (1-part)*math.Log((1-part)/(1-c.share)))
		all = append(all, experiment{
			table: "T1", unit: "requests", runs: 1,
			what: fmt.Sprintf("errors %.3g%% to %.3g%% at %g%%, what no test of alpha .01 can beat", c.base*100, c.rate*100, c.share*100),
			once: func(uint64, engines) float64 { return math.Round(needed(.01) / nats) },
			want: []want{{of: median, published: c.published}},
		})
	}
	return all
}

// knownOnsets is T7's oracle: a test that begins when the errors do.
func knownOnsets() []experiment {
	var all []experiment
	for _, c := range []struct{ rate, published float64 }{{.005, 36}, {.01, 12}, {.05, 2}} {
		all = append(all, experiment{
			table: "T7", unit: "s", runs: 200,
			what: fmt.Sprintf("errors .1%% to %.3g%%, begun with them, at 50%%, alpha .01", c.rate*100),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, 50, 5000, .001, c.rate)
				return seconds(t.alarm(with(versusPolicy(1, 2)), needed(.01), int64(10*time.Minute/analysis.WindowLength)))
			},
			want: []want{{of: median, published: c.published, off: few(1)}},
		})
	}
	return all
}

// requestsAt is how many requests came up to an index.
func requestsAt(index int64, perWindow float64) float64 {
	if index < 0 {
		return math.Inf(1)
	}
	return float64(index+1) * perWindow
}

// limitDetection is T1, the right columns: candidate requests until an absolute
// limit is found to be broken.
func limitDetection() []experiment {
	var all []experiment
	for _, c := range []struct{ limit, rate, median, ninety, perWindow float64 }{
		{.01, .02, 1_430, 3_000, 20},
		{.01, .05, 150, 330, 5},
		{.001, .002, 14_770, 29_240, 100},
		{.001, .01, 460, 970, 10},
		{.001, .05, 50, 110, 5},
	} {
		all = append(all, experiment{
			table: "T1", unit: "requests", runs: 400,
			what: fmt.Sprintf("limit %.3g%%, true %.3g%%, alpha .01", c.limit*100, c.rate*100),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, c.perWindow, 10_000, 0, c.rate)
				return requestsAt(t.alarm(with(limitPolicy(c.limit)), needed(.01), int64(20*c.ninety/c.perWindow)), c.perWindow)
			},
			want: wants(c.median, c.ninety, few(4*c.perWindow)),
		})
	}
	return all
}

const whyOutline = "the published drift is known in outline only, and when its minutes begin is not"

// errorFalseAlarms is T2: how often an equal candidate is blamed in 30 minutes of a
// ramp, by the engine and by rules that people use.
func errorFalseAlarms() []experiment {
	const whole = 30 * time.Minute
	high := func(_, candidate float64) bool { return candidate > 0.01 }
	over := minuteRule(1, high)
	worse := minuteRule(1, func(stable, candidate float64) bool { return candidate > 1.5*stable })
	var all []experiment
	for _, c := range []struct {
		what          string
		rule          engines // nil: ours
		alpha         float64
		steady, drift float64
		runs          int
		most          float64
	}{
		{"stratified e-process with restarts, alpha .05", nil, .05, .024, .029, 1000, .05},
		{"stratified e-process, alpha .01", nil, .01, .006, .006, 1000, .01},
		{"z-test each minute, nominal .05", zTests, .05, .298, 1, 400, 0},
		{"z-test each minute, nominal .01", zTests, .01, .102, 1, 400, 0},
		{"e-value on pooled counts, alpha .05", poolers, .05, .014, .993, 400, 0},
		{"rate of a minute above 1%, once", over, .05, .484, 1, 400, 0},
		{"rate of a minute above 1%, five times", minuteRule(5, high), .05, 0, 1, 400, 0},
		{"candidate of a minute above 1.5x stable", worse, .05, .988, .940, 400, 0},
	} {
		for name, rate := range map[string]func(time.Duration) float64{"steady": always(.005), "drifting": drifting(whole)} {
			published := c.steady
			if name == "drifting" {
				published = c.drift
			}
			all = append(all, experiment{
				table: "T2", runs: c.runs, what: fmt.Sprintf("%s, %s", c.what, name),
				once: func(seed uint64, with engines) float64 {
					if c.rule != nil {
						with = c.rule
					}
					t := newTraffic(seed, 50, 0, 0, 0)
					t.share, t.stable, t.candidate = ramp(whole), rate, rate
					return seconds(t.alarm(with(versusPolicy(1, 2)), needed(c.alpha), int64(whole/analysis.WindowLength)))
				},
				want: []want{{of: found, published: published, most: c.most, off: apart(whyOutline, .15)}},
			})
		}
	}
	return sorted(all)
}

// seconds is when an index ended.
func seconds(index int64) float64 {
	if index < 0 {
		return math.Inf(1)
	}
	return float64(index+1) * analysis.WindowLength.Seconds()
}

// lateOnsets is T7: seconds until errors are found that begin after 20 good minutes.
func lateOnsets() []experiment {
	const good = 20 * time.Minute
	var all []experiment
	for _, c := range []struct{ rate, published float64 }{{.005, 64}, {.01, 22}, {.05, 4}} {
		all = append(all, experiment{
			table: "T7", unit: "s", runs: 200,
			what: fmt.Sprintf("errors .1%% to %.3g%% after 20 good minutes, at 50%%, alpha .01", c.rate*100),
			once: func(seed uint64, with engines) float64 {
				t := newTraffic(seed, 50, 5000, .001, 0)
				t.candidate = func(at time.Duration) float64 {
					if at < good {
						return .001
					}
					return c.rate
				}
				at := seconds(t.alarm(with(versusPolicy(1, 2)), needed(.01), int64((good+10*time.Minute)/analysis.WindowLength)))
				return at - good.Seconds()
			},
			want: []want{{of: median, published: c.published, off: deviation{
				"a minute's start gets 1/225 of the evidence: the policy plans 45 minutes", .7, 1.5, 1,
			}}},
		})
	}
	return all
}

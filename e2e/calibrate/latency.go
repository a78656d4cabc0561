package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const whyPods = "another statistic: the engine's unit of latency is the pod"

// latencyFalseAlarms is T3: the published figures are of single requests.
func latencyFalseAlarms() []experiment {
	const whole = 30 * time.Minute
	swing := func(at time.Duration) float64 { return 1 + 0.5*math.Sin(6*math.Pi*at.Seconds()/whole.Seconds()) }
	var all []experiment
	for _, c := range []struct {
		what            string
		load            func(time.Duration) float64
		slower          float64
		published, rule float64
	}{
		{"equal, steady", always(1.0), 1, .003, .983},
		{"equal, drifting load", swing, 1, .003, .975},
		{"exactly 10% slower, drifting load", swing, 1.1, .038, 1},
	} {
		served := func(seed uint64, e engine) float64 {
			f := newFleet(seed, 4, 4, 0.5)
			f.rps, f.share, f.load, f.slower, f.queueless = 40, ramp(whole), c.load, c.slower, true
			return f.until(e, 10*time.Second, whole, harmful(.05))
		}
		all = append(all, experiment{
			table: "T3", runs: 200, what: "latency of 40 rps, 4 pods each, tolerance 1.10, ramp, alpha .05: " + c.what,
			once: func(seed uint64, with engines) float64 {
				return served(seed, with(latencyPolicy(1.1, 1.33, 10*time.Second)))
			},
			want: []want{{of: found, published: c.published, most: .05, off: apart(whyPods, .05)}},
		}, experiment{
			table: "T3", runs: 200, what: "p99 of a minute above 1.1x stable's, 40 rps, ramp: " + c.what,
			once: func(seed uint64, _ engines) float64 { return served(seed, &minuteTail{}) },
			want: []want{{of: found, published: c.rule, off: apart("how loads drift was not published", .05)}},
		})
	}
	return all
}

func harmful(alpha float64) func(engine) bool {
	return func(e engine) bool { return e.harm() >= needed(alpha) }
}

// latencyDetection is T4: total requests until slower answers are found, without
// queues. Published figures are of single requests, at p50, p95 and p99.
func latencyDetection() []experiment {
	var all []experiment
	for _, c := range []struct {
		stable, candidate int
		slower, published float64
	}{
		{19, 1, 1.2, 14_600},
		{19, 1, 1.5, 1_200},
		{19, 1, 2, 400},
		{10, 10, 1.2, 2_800},
		{10, 10, 1.5, 400},
	} {
		all = append(all, experiment{
			table: "T4", unit: "requests", runs: 100,
			what: fmt.Sprintf("%d of 20 pods %gx as slow, no queues, tolerance 1.10, alpha .01", c.candidate, c.slower),
			once: func(seed uint64, with engines) float64 {
				f := newFleet(seed, c.stable, c.candidate, 0.5)
				f.slower, f.queueless = c.slower, true
				return f.rps * f.sinceAlone(with(latencyPolicy(1.1, 1.33, 10*time.Second)), 10*time.Second, 30*time.Minute, harmful(.01))
			},
			want: []want{{of: median, published: c.published, off: blocks(whyPods+", and blocks of 10 s have 2,000 requests", 2000)}},
		})
	}
	return all
}

// queueFalseAlarms is T5: how often equal pods with queues of their own are blamed
// in 30 minutes.
func queueFalseAlarms() []experiment {
	const whole = 30 * time.Minute
	var all []experiment
	for _, c := range []struct {
		busy, tolerance   float64
		stable, candidate int
		block             time.Duration
		speeds            float64
		published, most   float64
	}{
		{.3, 1, 19, 1, 10 * time.Second, 0, .025, .05},
		{.3, 1.1, 19, 1, 10 * time.Second, 0, 0, .05},
		{.6, 1, 19, 1, 10 * time.Second, 0, .040, .05},
		{.6, 1.1, 19, 1, 10 * time.Second, 0, .010, .05},
		{.8, 1, 19, 1, 10 * time.Second, 0, .050, 0},
		{.8, 1.1, 19, 1, 10 * time.Second, 0, .010, .05},
		{.8, 1, 3, 1, 10 * time.Second, 0, .095, 0},
		{.8, 1, 3, 1, 30 * time.Second, 0, .050, 0},
		{.8, 1.1, 3, 1, 10 * time.Second, 0, .025, .05},
		{.9, 1.1, 19, 1, 10 * time.Second, 0, .140, 0},
		{.9, 1.1, 19, 1, 30 * time.Second, 0, .040, .05},
		{.3, 1, 19, 1, 10 * time.Second, .05, .385, 0},
		{.3, 1.1, 19, 1, 10 * time.Second, .05, .015, .05},
	} {
		what := fmt.Sprintf("%d of %d pods, %g busy, tolerance %.2f, blocks of %s, alpha .05",
			c.candidate, c.stable+c.candidate, c.busy, c.tolerance, c.block)
		if c.speeds > 0 {
			what += ", pod speeds 5% apart"
		}
		all = append(all, experiment{
			table: "T5", runs: 200, what: what,
			once: func(seed uint64, with engines) float64 {
				f := newFleet(seed, c.stable, c.candidate, c.busy)
				if c.speeds > 0 {
					f.vary(c.speeds)
				}
				return f.until(with(latencyPolicy(c.tolerance, 1.33, c.block)), c.block, whole, harmful(.05))
			},
			want: []want{{of: found, published: c.published, most: c.most, off: apart("queues outlast such blocks, and nothing is promised", .15)}},
		})
	}
	return all
}

// queueDetection is T5's second half: seconds until slower pods are found.
func queueDetection() []experiment {
	var all []experiment
	for _, c := range []struct {
		busy, slower      float64
		stable, candidate int
		block             time.Duration
		median, ninety    float64
	}{
		{.3, 1.2, 19, 1, 10 * time.Second, 80, 160},
		{.6, 1.2, 19, 1, 10 * time.Second, 80, 140},
		{.6, 1.5, 19, 1, 10 * time.Second, 30, 30},
		{.6, 2, 19, 1, 10 * time.Second, 30, 30},
		{.6, 1.5, 19, 1, 5 * time.Second, 15, 25},
		{.6, 1.5, 18, 2, 10 * time.Second, 20, 20},
		{.6, 1.5, 3, 1, 10 * time.Second, 40, 50},
	} {
		off := blocks("ties are averaged over all orders, and a block is told of by the next one", c.block.Seconds())
		all = append(all, experiment{
			table: "T5", unit: "s", runs: 200,
			what: fmt.Sprintf("%d of %d pods %gx as slow, %g busy, tolerance 1.10, blocks of %s, alpha .01",
				c.candidate, c.stable+c.candidate, c.slower, c.busy, c.block),
			once: func(seed uint64, with engines) float64 {
				f := newFleet(seed, c.stable, c.candidate, c.busy)
				f.slower = c.slower
				return f.sinceAlone(with(latencyPolicy(1.1, 1.33, c.block)), c.block, 20*time.Minute, harmful(.01))
			},
			want: []want{{of: median, published: c.median, off: off}, {of: ninety, published: c.ninety, off: off}},
		})
	}
	return all
}

func sorted(all []experiment) []experiment {
	slices.SortStableFunc(all, func(a, b experiment) int { return strings.Compare(a.what, b.what) })
	return all
}

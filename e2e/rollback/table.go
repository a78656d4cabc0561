package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/canary"
)

// table is what is printed of a scenario.
type table struct {
	scenario
	results []result
}

func (s scenario) table(results []result) table { return table{s, results} }

// row is one figure of all runs.
type row struct {
	name string
	unit string
	of   func(result) float64
}

func rows() []row {
	return []row{
		{exposure, "s", func(r result) float64 { return r.Exposure }},
		{failed, "", func(r result) float64 { return float64(r.Failed) }},
		{"candidate requests", "", func(r result) float64 { return float64(r.Requests) }},
		{"time to trip", "s", func(r result) float64 { return r.ToTrip }},
		{"time to final verdict", "s", func(r result) float64 { return r.ToEnd }},
		{"  until it was evident", "ms", func(r result) float64 { return 1000 * r.Split.Evidence }},
		{"  log delay", "ms", func(r result) float64 { return 1000 * r.Split.LogDelay }},
		{"  window age", "ms", func(r result) float64 { return 1000 * r.Split.WindowAge }},
		{"  decision", "ms", func(r result) float64 { return 1000 * r.Split.Decision }},
		{"  publish", "ms", func(r result) float64 { return 1000 * r.Split.Publish }},
		{"  ACK", "ms", func(r result) float64 { return 1000 * r.Split.Ack }},
		{"  last request", "ms", func(r result) float64 { return 1000 * r.Split.Last }},
	}
}

// distribution of one figure.
type distribution struct{ median, p90, max float64 }

func distributionOf(results []result, of func(result) float64) distribution {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	n := len(values)
	return distribution{
		median: (values[(n-1)/2] + values[n/2]) / 2,
		p90:    values[min(n*9/10, n-1)],
		max:    values[n-1],
	}
}

// met says whether a goal is reached.
func (t table) met(g goal) bool {
	for _, r := range rows() {
		if r.name != g.Figure {
			continue
		}
		d := distributionOf(t.results, r.of)
		if g.Of == median {
			return d.median <= g.Most
		}
		return d.max <= g.Most
	}
	return false
}

// unended counts trials that did not end rolled back.
func (t table) unended() int {
	n := 0
	for _, r := range t.results {
		if r.Outcome != canary.OutcomeRolledBack {
			n++
		}
	}
	return n
}

// missed says whether a goal is, or a bad version was not rolled back.
func (t table) missed() bool {
	return t.unended() > 0 || slices.ContainsFunc(t.Goals, func(g goal) bool { return !t.met(g) })
}

func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s; %g requests per second, first step 5%%; n = %d\n", t.Name, t.About, t.Rate, len(t.results))
	fmt.Fprintf(w, "  %-24s %8s %8s %8s\n", "", "median", "p90", "max")
	for _, r := range rows() {
		d := distributionOf(t.results, r.of)
		format := "  %-24s %8.2f %8.2f %8.2f  %-2s  %s\n"
		if r.unit != "s" {
			format = strings.ReplaceAll(format, "8.2f", "8.0f")
		}
		fmt.Fprintf(w, format, r.name, d.median, d.p90, d.max, r.unit, t.goals(r.name))
	}
	fmt.Fprintf(w, "  %s\n", t.endings())
	fmt.Fprintf(w, "  others, measured in this scenario: %s\n", t.Peers)
}

// goals of a figure, and whether they are met.
func (t table) goals(figure string) string {
	var texts []string
	for _, g := range t.Goals {
		if g.Figure != figure {
			continue
		}
		is := "met"
		if !t.met(g) {
			is = "MISSED"
		}
		texts = append(texts, fmt.Sprintf("%s ≤ %g: %s", g.Of, g.Most, is))
	}
	return strings.Join(texts, ", ")
}

// endings counts how trials ended.
func (t table) endings() string {
	counts := map[string]int{}
	for _, r := range t.results {
		name := fmt.Sprintf("%s (%s)", r.Outcome, r.Cause)
		if r.Outcome == "" {
			name = "not ended"
		}
		counts[name]++
	}
	var texts []string
	for name, n := range counts {
		texts = append(texts, fmt.Sprintf("%d %s", n, name))
	}
	slices.Sort(texts)
	return "ended: " + strings.Join(texts, ", ")
}

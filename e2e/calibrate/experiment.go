package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/sluice-dev/sluice/analysis"
)

// experiment repeats one run with many seeds.
type experiment struct {
	table, what string
	unit        string // of what a run gives: "s", "requests"; empty for shares
	runs        int
	from        uint64 // the first seed
	// once makes a run and gives when something was found, or +Inf for never.
	once func(seed uint64, with engines) float64
	want []want
}

// want is one figure of an experiment.
type want struct {
	of        statistic
	published float64 // NaN: none was
	most      float64 // what is promised; 0: nothing is
	least     float64 // likewise
	off       deviation
}

// statistic is what becomes of the runs.
type statistic int

const (
	found   statistic = iota // share of runs that found anything
	median                   // of when
	ninety                   // 90th percentile of when
	ninety5                  // 95th
)

func (s statistic) String() string { return [...]string{"share", "median", "p90", "p95"}[s] }

func (s statistic) quantile() float64 { return [...]float64{0, 0.5, 0.9, 0.95}[s] }

// figure is one cell as measured.
type figure struct {
	want

	table, what, unit string
	measured          float64
	low, high         float64
	runs              int
}

// run makes the runs of an experiment on all processors, and says when one is done.
func (e experiment) run(with engines, ran func()) []figure {
	got := make([]float64, e.runs)
	var wait sync.WaitGroup
	for worker := range runtime.NumCPU() {
		wait.Go(func() {
			for i := worker; i < e.runs; i += runtime.NumCPU() {
				got[i] = e.once(e.from+uint64(i), with)
				ran()
			}
		})
	}
	wait.Wait()
	slices.Sort(got)
	var figures []figure
	for _, w := range e.want {
		f := figure{want: w, table: e.table, what: e.what, unit: e.unit, runs: e.runs}
		if w.of == found {
			k, _ := slices.BinarySearch(got, math.Inf(1))
			f.measured = float64(k) / float64(e.runs)
			f.low, f.high = analysis.Wilson(k, e.runs)
			f.unit = ""
		} else {
			f.measured, f.low, f.high = quantile(got, w.of.quantile())
		}
		figures = append(figures, f)
	}
	return figures
}

// quantile is that of sorted values, with the order statistics that hold it in 95
// of 100 samples.
func quantile(sorted []float64, q float64) (at, low, high float64) {
	n := float64(len(sorted))
	half := 1.959964 * math.Sqrt(n*q*(1-q))
	index := func(x float64) int { return min(max(int(x), 0), len(sorted)-1) }
	return sorted[index(q*n)], sorted[index(q*n-half)], sorted[index(q*n+half)]
}

// broken says whether a promise is surely not kept.
func (f figure) broken() bool {
	return f.most > 0 && f.low > f.most || f.least > 0 && f.high < f.least
}

// standing compares with what was published.
func (f figure) standing() string {
	switch low, high := f.wide(); {
	case f.broken():
		return "BROKEN"
	case math.IsNaN(f.published) && f.most == 0 && f.least == 0:
		return "–"
	case math.IsNaN(f.published):
		return "kept"
	case low <= f.published && f.published <= high:
		return "within"
	case f.unexplained():
		return "UNEXPLAINED: " + f.explained()
	case f.measured < f.published:
		return "below: " + f.explained()
	}
	return "above: " + f.explained()
}

// explained is the deviation, and what it allows.
func (f figure) explained() string {
	if f.off.why == "" {
		return "nothing allows for it"
	}
	least, most := f.off.bounds(f.published)
	return fmt.Sprintf("%s (%s to %s allowed)", f.off.why, f.number(max(0, least)), f.number(most))
}

// String is the figure's row.
func (f figure) String() string {
	published := "–"
	if !math.IsNaN(f.published) {
		published = f.number(f.published)
	}
	if f.most > 0 {
		published += fmt.Sprintf(" (at most %s)", f.number(f.most))
	}
	if f.least > 0 {
		published += fmt.Sprintf(" (at least %s)", f.number(f.least))
	}
	return fmt.Sprintf("| %s | %s: %s | %s | %s | %s to %s | %d | %s |",
		f.table, f.what, f.of, published, f.number(f.measured), f.number(f.low), f.number(f.high), f.runs, f.standing())
}

func (f figure) number(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "never"
	case f.unit == "":
		return fmt.Sprintf("%.4f", x)
	}
	return fmt.Sprintf("%.6g %s", x, f.unit)
}

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// show shows a cell, each server beside the first, which is raw.
func show(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%d proxies, %d routes\n", results[0].proxies, results[0].routes)
	fmt.Fprintln(t, "\tp50 ms\tp99 ms\tlast ms\tto raw\tcpu ms/edit\tto raw\tresponses\tbytes\tKB/stream\tto raw\t")
	base := results[0]
	for _, r := range results {
		memory, ratio := "-", "-" // of one stream it is noise
		if r.proxies >= 1000 {
			memory, ratio = fmt.Sprintf("%.0f", r.memory/1000), fmt.Sprintf("%.2f", r.memory/base.memory)
		}
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%s\t%s\t\n", r.kind, ms(r.p50), ms(r.p99),
			ms(r.last), float64(r.last)/float64(base.last), ms(r.cpu), float64(r.cpu)/float64(base.cpu), r.responses, r.bytes, memory, ratio)
	}
	_ = t.Flush() // to a terminal or a buffer
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// goal is one promise, and what was measured of it.
type goal struct {
	name  string
	got   float64
	limit float64
	unit  string
	least bool // the limit is a lower one
}

func (g goal) holds() bool {
	if g.least {
		return g.got >= g.limit
	}
	return g.got <= g.limit
}

// judge prints every goal of which something was measured. Times are of one
// machine at one time, so a goal that does not hold is no error.
func judge(w io.Writer, results []result, files []fromFile) error {
	var goals []goal
	for _, r := range results {
		if r.kind == "sluice" {
			goals = append(goals, r.goals(results)...)
		}
	}
	for _, f := range files {
		goals = append(goals, goal{name: fmt.Sprintf("from a file to one proxy, %d routes, median", f.routes), got: ms(f.p50), limit: 3, unit: "ms"})
	}
	fmt.Fprintln(w, "\ngoals")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range goals {
		verdict, sign := "holds", "<="
		if !g.holds() {
			verdict = "MISSED"
		}
		if g.least {
			sign = ">="
		}
		fmt.Fprintf(t, "  %s\t%.2f %s\t%s %g\t%s\n", g.name, g.got, g.unit, sign, g.limit, verdict)
	}
	return t.Flush()
}

// goals of one cell, against the others of the same.
func (r result) goals(all []result) []goal {
	where := fmt.Sprintf("%d proxies, %d routes: ", r.proxies, r.routes)
	list := []goal{
		{name: where + "responses per proxy and edit", got: r.responses, limit: 1},
		{name: where + "bytes per proxy and edit", got: r.bytes, limit: 300, unit: "B"},
	}
	if r.proxies < 1000 {
		return list
	}
	memory := 60.0
	if r.routes > 1 {
		memory = 120
	}
	list = append(list, goal{name: where + "memory per stream", got: r.memory / 1000, limit: memory, unit: "KB"})
	if raw, ok := find(all, "raw", r.cell); ok {
		list = append(list,
			goal{name: where + "last proxy to raw", got: float64(r.last) / float64(raw.last), limit: 1.5},
			goal{name: where + "processor time to raw", got: float64(r.cpu) / float64(raw.cpu), limit: 1.3})
	}
	if linear, ok := find(all, "linear", r.cell); ok && r.proxies >= 10000 && r.routes >= 200 {
		list = append(list, goal{name: where + "processor time, LinearCache to ours", got: float64(linear.cpu) / float64(r.cpu), limit: 50, least: true})
	}
	return list
}

func find(all []result, kind string, c cell) (result, bool) {
	i := slices.IndexFunc(all, func(r result) bool { return r.kind == kind && r.cell == c })
	if i < 0 {
		return result{}, false
	}
	return all[i], true
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const warmUps = 3

// cell is one size of the swarm and of what each proxy holds.
type cell struct{ proxies, routes int }

// result is what was measured of one server in one cell.
type result struct {
	cell

	kind      string
	last      time.Duration // of an edit's slowest proxy, median over edits
	p50, p99  time.Duration // over edits and proxies
	cpu       time.Duration // per edit
	responses float64       // per proxy and edit
	bytes     float64       // per proxy and edit
	memory    float64       // bytes per stream
}

// measure fills the table, cell by cell, and says whether the goals hold.
func (o options) measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "xdsbench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	proxies, err := numbers(o.proxies)
	if err != nil {
		return fmt.Errorf("-proxies: %w", err)
	}
	routes, err := numbers(o.routes)
	if err != nil {
		return fmt.Errorf("-routes: %w", err)
	}
	var results []result
	for _, r := range routes {
		for _, p := range proxies {
			some, err := o.measureCell(ctx, dir, cell{p, r})
			if err != nil {
				return fmt.Errorf("%d proxies, %d routes: %w", p, r, err)
			}
			show(os.Stdout, some)
			results = append(results, some...)
		}
	}
	var files []fromFile
	if o.binary != "" {
		for _, r := range routes {
			f, err := o.measureFile(ctx, dir, r)
			if err != nil {
				return fmt.Errorf("from a file, %d routes: %w", r, err)
			}
			files = append(files, f)
		}
	}
	return judge(os.Stdout, results, files)
}

func numbers(list string) ([]int, error) {
	var out []int
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no count", s)
		}
		out = append(out, n)
	}
	return out, nil
}

// together is how many proxies of each server may be connected at once.
const together = 1000

// measureCell measures all servers: side by side, or one after the other where
// there are too many proxies.
func (o options) measureCell(ctx context.Context, dir string, c cell) ([]result, error) {
	kinds := strings.Split(o.kinds, ",")
	if c.proxies <= together {
		return o.race(ctx, dir, c, kinds, o.edits)
	}
	var results []result
	for _, kind := range kinds {
		one, err := o.race(ctx, dir, c, []string{kind}, max(1, o.edits/4))
		if err != nil {
			return nil, err
		}
		results = append(results, one...)
	}
	return results, nil
}

// runner is a server's process, its swarm, and what they have shown so far.
type runner struct {
	*child

	kind   string
	swarm  *swarm
	before int64 // resident bytes without proxies
	edits  int

	delays []time.Duration
	lasts  []time.Duration
	cpu    time.Duration
	sum    tally
}

func (o options) race(ctx context.Context, dir string, c cell, kinds []string, edits int) (results []result, err error) {
	w := newWorld(c.routes)
	var runners []*runner
	defer func() {
		for _, r := range runners {
			r.end()
		}
	}()
	for _, kind := range kinds {
		r, err := o.start(ctx, dir, kind, c, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		runners = append(runners, r)
	}
	for edit := range warmUps + edits {
		for _, r := range runners {
			if err := r.edit(ctx, edit+1, o.gap, edit >= warmUps); err != nil {
				return nil, fmt.Errorf("%s: %w", r.kind, err)
			}
		}
	}
	for _, r := range runners {
		one, err := r.result(c)
		if err != nil {
			return nil, err
		}
		results = append(results, one)
	}
	return results, nil
}

func (o options) start(ctx context.Context, dir, kind string, c cell, w world) (*runner, error) {
	process, err := o.spawn(ctx, dir, kind, c.routes)
	if err != nil {
		return nil, err
	}
	r := &runner{child: process, kind: kind}
	u, err := process.tell("collect")
	if err == nil {
		r.before = u.RSS
		w.all = o.all && kind == "sluice"
		r.swarm, err = dial(ctx, process.socket, w, c.proxies)
	}
	if err != nil {
		process.end()
		return nil, err
	}
	pause(ctx, 500*time.Millisecond)
	r.swarm.count()
	return r, nil
}

func (r *runner) end() {
	r.swarm.close()
	r.child.end()
}

// edit changes the weight and waits until every proxy has it and the server has
// every answer.
func (r *runner) edit(ctx context.Context, edit int, gap time.Duration, counts bool) error { //nolint:revive // a warm-up does not count
	before, err := r.tell("usage")
	if err != nil {
		return err
	}
	r.swarm.count()
	start := time.Now()
	if _, err := r.tell(fmt.Sprintf("edit %d", edit)); err != nil {
		return err
	}
	times, err := r.swarm.await(ctx)
	if err != nil {
		return err
	}
	pause(ctx, gap)
	after, err := r.tell("usage")
	if err != nil || !counts {
		return err
	}
	for _, t := range times {
		r.delays = append(r.delays, t.Sub(start))
	}
	r.lasts = append(r.lasts, times[len(times)-1].Sub(start))
	r.cpu += after.CPU - before.CPU
	heard := r.swarm.count()
	r.sum.responses += heard.responses
	r.sum.bytes += heard.bytes
	r.edits++
	return nil
}

func (r *runner) result(c cell) (result, error) {
	u, err := r.tell("usage")
	if err != nil {
		return result{}, err
	}
	if r.edits == 0 {
		return result{}, errors.New("no edit was measured")
	}
	heard := float64(r.edits * c.proxies)
	return result{
		cell: c, kind: r.kind,
		last: quantile(r.lasts, 0.5), p50: quantile(r.delays, 0.5), p99: quantile(r.delays, 0.99),
		cpu:       r.cpu / time.Duration(r.edits),
		responses: float64(r.sum.responses) / heard,
		bytes:     float64(r.sum.bytes) / heard,
		memory:    float64(u.RSS-r.before) / float64(c.proxies),
	}, nil
}

func quantile(list []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pin keeps this thread, and those it starts, on a core.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	return unix.SchedSetaffinity(0, &set)
}

// compare measures every system at every load, system by system within a load.
func (o options) compare(ctx context.Context) error {
	runtime.LockOSThread()
	if err := pin(o.own); err != nil {
		return fmt.Errorf("core %d: %w", o.own, err)
	}
	for name := range strings.SplitSeq(o.models, ",") {
		m, err := o.expect(ctx, name)
		if err != nil {
			return err
		}
		if err := o.compareModel(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (o options) compareModel(ctx context.Context, m *model) error {
	systems, err := o.startAll(ctx, m)
	defer func() {
		for _, s := range systems {
			s.signal(syscall.SIGCONT)
			s.end()
		}
	}()
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", header)
	for text := range strings.SplitSeq(o.loads, ",") {
		load, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if err := o.compareLoad(ctx, m, systems, load); err != nil {
			return err
		}
	}
	fmt.Printf("\n%s\n", traitHeader)
	for _, s := range systems {
		t, err := o.traitsFairly(ctx, m, s)
		if err != nil {
			return err
		}
		fmt.Println(t)
	}
	fmt.Println()
	return nil
}

// startAll starts every system and stops it as soon as it is ready.
func (o options) startAll(ctx context.Context, m *model) (systems []*system, err error) {
	for name := range strings.SplitSeq(o.systems, ",") {
		s, err := o.start(ctx, name, m)
		if s != nil {
			systems = append(systems, s)
		}
		if err != nil {
			return systems, err
		}
		s.signal(syscall.SIGSTOP)
	}
	return systems, nil
}

func (o options) compareLoad(ctx context.Context, m *model, systems []*system, load float64) error {
	var queue float64 // the raw queue's share
	for _, s := range systems {
		c, err := o.measureFairly(ctx, m, s, load)
		if err != nil {
			return err
		}
		if s.cmd == nil {
			queue = c.share()
		}
		c.queue = queue
		fmt.Println(c)
		if c.result.Wrong > 0 {
			return fmt.Errorf("%s: %d of %d answers compared were wrong", s.name, c.result.Wrong, c.result.Sent/checkedShare)
		}
	}
	return nil
}

// measureFairly measures again while others disturb it, a few times.
func (o options) measureFairly(ctx context.Context, m *model, s *system, load float64) (c cell, err error) {
	for range o.tries {
		if c, err = o.measure(ctx, m, s, load); err != nil || c.fair() {
			break
		}
	}
	return c, err
}

// measure is one run between two measurements of the limit.
func (o options) measure(ctx context.Context, m *model, s *system, load float64) (cell, error) {
	c := cell{model: m.name, system: s.name, load: load, seconds: o.seconds, overhead: math.NaN()}
	if err := o.inner(ctx, "limit", m.name, 0, &c.before); err != nil {
		return c, err
	}
	c.offered = load * c.before.best()
	if s.cmd == nil {
		if err := o.inner(ctx, "queue", m.name, c.offered, &c.result); err != nil {
			return c, err
		}
	} else {
		if err := o.offerTo(ctx, m, s, &c); err != nil {
			return c, err
		}
	}
	return c, o.inner(ctx, "limit", m.name, 0, &c.after)
}

// offerTo lets a system run for a load. Its connections are open before; what it
// has left to do afterwards does not burden the next load.
func (o options) offerTo(ctx context.Context, m *model, s *system, c *cell) error {
	s.signal(syscall.SIGCONT)
	for i := range 8 {
		_, _ = s.ask(ctx, i, 0)
	}
	before, _ := s.overhead()
	used := s.cpu()
	c.result = o.offer(ctx, m, s.ask, c.offered)
	c.result.CPU = s.cpu() - used
	after, err := s.overhead()
	if err != nil {
		return err
	}
	c.overhead = after.since(before).quantile(0.99)
	return o.settle(ctx, m, s)
}

// settle stops a system once it has nothing to do. One that still works on
// requests whose callers left long ago is started anew.
func (o options) settle(ctx context.Context, m *model, s *system) error {
	for range 20 {
		used := s.cpu()
		time.Sleep(100 * time.Millisecond)
		if s.cpu()-used < 0.05 {
			s.signal(syscall.SIGSTOP)
			return nil
		}
	}
	s.end()
	again, err := o.start(ctx, s.name, m)
	if again != nil {
		*s = *again
	}
	if err != nil {
		return err
	}
	s.signal(syscall.SIGSTOP)
	return nil
}

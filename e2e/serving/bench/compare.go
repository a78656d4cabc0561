package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

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
	fmt.Printf("%s\n", header)
	var wrong error
	for name := range strings.SplitSeq(o.models, ",") {
		m, err := o.expect(ctx, name)
		if err != nil {
			return err
		}
		wrong = errors.Join(wrong, o.compareModel(ctx, m))
	}
	return wrong
}

func (o options) compareModel(ctx context.Context, m *model) error {
	var systems []*system
	defer func() {
		for _, s := range systems {
			s.signal(syscall.SIGCONT)
			s.end()
		}
	}()
	for name := range strings.SplitSeq(o.systems, ",") {
		s, err := o.start(ctx, name, m)
		if s != nil {
			systems = append(systems, s)
		}
		if err != nil {
			return err
		}
		s.signal(syscall.SIGSTOP)
	}
	for text := range strings.SplitSeq(o.loads, ",") {
		load, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		for _, s := range systems {
			c, err := o.measureFairly(ctx, m, s, load)
			if err != nil {
				return err
			}
			fmt.Fprintln(os.Stdout, c)
			if c.result.Wrong > 0 {
				return fmt.Errorf("%s: %d of %d answers compared were wrong", s.name, c.result.Wrong, c.result.Sent/checkedShare)
			}
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
	c := cell{model: m.name, system: s.name, load: load, seconds: o.seconds}
	if err := o.inner(ctx, "limit", m.name, 0, &c.before); err != nil {
		return c, err
	}
	c.offered = load * c.before.best()
	if s.cmd == nil {
		if err := o.inner(ctx, "queue", m.name, c.offered, &c.result); err != nil {
			return c, err
		}
	} else {
		s.signal(syscall.SIGCONT)
		used := s.cpu()
		c.result = o.offer(ctx, m, s.ask, c.offered)
		c.result.CPU = s.cpu() - used
		s.signal(syscall.SIGSTOP)
	}
	return c, o.inner(ctx, "limit", m.name, 0, &c.after)
}

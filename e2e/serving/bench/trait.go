package main

import (
	"context"
	"fmt"
	"math"
	"syscall"
	"time"
)

// traits are what a system costs apart from any load offered to it.
type traits struct {
	model, system string
	before, after limit
	closed        float64 // answers per second while callers ask at once again
	perAnswer     float64 // seconds of CPU, meanwhile
	perRefusal    float64 // seconds of CPU of a request that cannot be answered in time; NaN: it refuses none
	idle          float64 // of a core, without any request
}

const traitHeader = `| model | system | closed loop/limit | CPU ms/answer | raw CPU ms | more than raw, ms | refusal, CPU ms | idle CPU, % | fair |
|-|-|-|-|-|-|-|-|-|`

func (t traits) String() string {
	raw := (t.before.CPU + t.after.CPU) / 2
	return fmt.Sprintf("| %s | %s | %s | %s | %.3f | %s | %s | %s | %t |", t.model, t.system,
		shown("%.3f", t.closed/((t.before.best()+t.after.best())/2)), shown("%.3f", 1000*t.perAnswer), 1000*raw,
		shown("%.3f", 1000*(t.perAnswer-raw)), shown("%.3f", 1000*t.perRefusal), shown("%.2f", 100*t.idle), fair(t.before, t.after))
}

func (o options) traitsFairly(ctx context.Context, m *model, s *system) (t traits, err error) {
	for range o.tries {
		if t, err = o.traits(ctx, m, s); err != nil || fair(t.before, t.after) {
			break
		}
	}
	return t, err
}

// traits measures them between two measurements of the limit. The raw queue has
// none, but what the limit says of it.
func (o options) traits(ctx context.Context, m *model, s *system) (traits, error) {
	t := traits{model: m.name, system: s.name, closed: math.NaN(), perAnswer: math.NaN(), perRefusal: math.NaN(), idle: math.NaN()}
	if err := o.inner(ctx, "limit", m.name, 0, &t.before); err != nil {
		return t, err
	}
	if s.cmd != nil {
		s.signal(syscall.SIGCONT)
		o.saturate(ctx, m, s, &t)
		if err := o.settle(ctx, m, s); err != nil {
			return t, err
		}
	}
	return t, o.inner(ctx, "limit", m.name, 0, &t.after)
}

func (o options) saturate(ctx context.Context, m *model, s *system, t *traits) {
	const idleFor = 2 * time.Second
	used := s.cpu()
	r := o.askers(ctx, 2*m.batch, 0, s.ask)
	t.closed, t.perAnswer = float64(r.Good)/o.seconds, (s.cpu()-used)/float64(r.Good)
	if s.ours() {
		used = s.cpu()
		r = o.askers(ctx, 8, time.Millisecond, s.ask)
		if r.Refused > 10*r.Good {
			t.perRefusal = (s.cpu() - used) / float64(r.Refused)
		}
	}
	time.Sleep(time.Second) // for what ends late
	used = s.cpu()
	time.Sleep(idleFor)
	t.idle = (s.cpu() - used) / idleFor.Seconds()
}

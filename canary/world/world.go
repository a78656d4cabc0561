// Package world is a seeded world under virtual time: users, proxies that honour
// splits and log what they did, and pods with queues, errors and faults of their
// own. It drives whatever decides about a rollout and keeps the truth that only
// the users know. It has no clock, goroutine or socket: equal specs give equal
// runs, and a day of traffic takes seconds.
//
// It never decides anything about a rollout; that is the Driver's part.
//
// Start reading at Spec (what the world is like), then World.Run (the loop).
package world

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Driver decides about the rollout. It learns what a control plane would learn,
// when it would, and acts through World.Publish.
type Driver interface {
	// Handle takes one event. It must keep neither the event nor what it points to.
	Handle(now time.Time, ev Event)
}

// Spec says what the world is like. Equal specs give equal runs.
type Spec struct {
	Seed uint64
	Arms analysis.Arms

	Start time.Time     // of virtual time; default 2026-01-01
	Tick  time.Duration // between Ticked events; default 50ms

	Rate float64 // requests per second of the inference route; Poisson
	// PerUnit is how many requests a sticky unit sends, on average, from 1 to MostPerUnit:
	// the split keeps each with a version. 0: each request is drawn by itself.
	PerUnit float64
	Proxies int // Envoys that share the requests evenly; default 1
	Network Network

	Stable    Version
	Candidate Version
}

// Network says how late and how lossy the ways between proxies and control
// plane are. Zero delays take the defaults.
type Network struct {
	LogFlush  time.Duration // period of the log buffers; default 50ms
	LogDelay  time.Duration // of a flush on its way, at most; at least half of it; default 10ms
	Apply     time.Duration // from publish to effect at a proxy, at most; at least half of it; default 20ms
	AckDelay  time.Duration // from effect to the ack's arrival, at most; at least half of it; default 10ms
	LostAcks  float64       // share of acks that never arrive
	LoadEvery time.Duration // between load reports; 0 sends none
	Gaps      []Gap         // when log entries are lost
}

// Gap is a time in which the log entries of every proxy are lost. The counters
// of load reports lose nothing.
type Gap struct {
	After time.Duration // since Start
	For   time.Duration
}

// World is one run.
type World struct {
	spec    Spec
	now     int64 // ns since the Unix epoch
	queue   queue
	rng     *rand.Rand
	proxies []*proxy
	arms    [2]*fleet // stable, candidate
	crowd   *crowd    // nil where requests are drawn by themselves
	truth   Truth
}

// New makes a world at its start: every proxy gives all to stable at epoch 0.
// errors: a spec without rate, versions or pods.
func New(spec Spec) (*World, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	spec = spec.withDefaults()
	w := &World{spec: spec, now: spec.Start.UnixNano(), rng: stream(spec.Seed, 1), crowd: newCrowd(spec)}
	w.arms[0] = newFleet(spec.Arms.Stable, spec.Stable, spec.Seed, w.now)
	w.arms[1] = newFleet(spec.Arms.Candidate, spec.Candidate, spec.Seed, w.now)
	whole := config.Split{Shares: config.Whole(spec.Arms.Stable)}
	for i := range spec.Proxies {
		p := newProxy(w, i)
		p.split = whole
		w.proxies = append(w.proxies, p)
	}
	w.load(whole)
	w.push(w.gapToNext(), arrival, 0, 0)
	w.push(int64(spec.Tick), tick, 0, 0)
	if spec.Network.LoadEvery > 0 {
		w.push(int64(spec.Network.LoadEvery), report, 0, 0)
	}
	return w, nil
}

func (s Spec) check() error {
	var errs []error
	if s.Rate <= 0 {
		errs = append(errs, fmt.Errorf("rate: must be above 0, found %v", s.Rate))
	}
	if s.PerUnit != 0 && !(s.PerUnit >= 1 && s.PerUnit <= MostPerUnit) {
		errs = append(errs, fmt.Errorf("requests per unit: must be from 1 to %d, found %v", MostPerUnit, s.PerUnit))
	}
	if s.Arms.Stable == "" || s.Arms.Candidate == "" {
		errs = append(errs, fmt.Errorf("arms: need two names, found %q and %q", s.Arms.Stable, s.Arms.Candidate))
	}
	for _, v := range []Version{s.Stable, s.Candidate} {
		if v.Pods < 1 || v.MeanService() <= 0 {
			errs = append(errs, fmt.Errorf("version: needs pods and a service time, found %d and %gs", v.Pods, v.MeanService()))
		}
	}
	return errors.Join(errs...)
}

func (s Spec) withDefaults() Spec {
	if s.Start.IsZero() {
		s.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	s.Proxies = max(s.Proxies, 1)
	orDefault(&s.Tick, 50*time.Millisecond)
	orDefault(&s.Network.LogFlush, 50*time.Millisecond)
	orDefault(&s.Network.LogDelay, 10*time.Millisecond)
	orDefault(&s.Network.Apply, 20*time.Millisecond)
	orDefault(&s.Network.AckDelay, 10*time.Millisecond)
	return s
}

func orDefault(d *time.Duration, otherwise time.Duration) {
	if *d == 0 {
		*d = otherwise
	}
}

// stream gives each part of the world randomness of its own, so that a change of
// one part leaves the draws of the others alone.
func stream(seed, part uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, part)) }

// Now is the virtual time.
func (w *World) Now() time.Time { return time.Unix(0, w.now).UTC() }

// Truth is what really happened so far, which no control plane sees whole.
func (w *World) Truth() Truth { return w.truth }

// Run lets virtual time pass until the given time, or until the driver calls
// Stop, and hands the driver what it would learn.
func (w *World) Run(d Driver, until time.Time) {
	end := until.UnixNano()
	for len(w.queue.events) > 0 && w.queue.events[0].at <= end && !w.truth.Stopped {
		e := w.queue.pop()
		w.now = e.at
		w.step(d, e)
	}
	if !w.truth.Stopped {
		w.now = end
	}
}

// Stop ends the run after the present event.
func (w *World) Stop() { w.truth.Stopped = true }

func (w *World) step(d Driver, e event) {
	switch e.kind {
	case arrival:
		w.arrive()
		w.push(w.gapToNext(), arrival, 0, 0)
	case completion:
		w.proxies[e.proxy].complete(w, int(e.slot))
	case beat:
		w.proxies[e.proxy].wait(w, int(e.slot))
	case flush:
		w.proxies[e.proxy].flush(w, d)
	case apply:
		w.proxies[e.proxy].apply(w)
	case ack:
		p := w.proxies[e.proxy]
		d.Handle(w.Now(), &Acked{Proxy: p.name, Epoch: p.acked()})
	case report:
		w.report(d)
		w.push(int64(w.spec.Network.LoadEvery), report, 0, 0)
	case tick:
		d.Handle(w.Now(), Ticked{})
		w.push(int64(w.spec.Tick), tick, 0, 0)
	}
}

func (w *World) push(after int64, kind kind, proxy, slot int) {
	w.queue.push(event{at: w.now + after, kind: kind, proxy: int32(proxy), slot: int32(slot)})
}

func (w *World) gapToNext() int64 {
	return max(1, int64(w.rng.ExpFloat64()/w.spec.Rate*float64(time.Second)))
}

// between draws a delay in [most/2, most].
func (w *World) between(most time.Duration) int64 {
	return int64(most)/2 + w.rng.Int64N(int64(most)/2+1)
}

// Publish sends a split to every proxy. Each applies it after a delay of its own,
// in the order of publishing, and then acks.
func (w *World) Publish(s config.Split) {
	for i, p := range w.proxies {
		p.pending = append(p.pending, s)
		w.push(w.between(w.spec.Network.Apply), apply, i, 0)
	}
}

// load tops the pods of both versions up to their utilisation under a split.
func (w *World) load(s config.Split) {
	for _, f := range w.arms {
		weight := float64(s.Weight(f.version)) / config.WholeSplit
		if s.Mirror.Version == f.version {
			weight += float64(s.Mirror.Weight) / config.WholeSplit
		}
		f.topUp(w.spec.Rate * weight / float64(len(f.pods)))
	}
}

func (w *World) arm(version string) *fleet {
	if version == w.spec.Arms.Candidate {
		return w.arms[1]
	}
	return w.arms[0]
}

func (w *World) arrive() {
	w.proxies[w.rng.IntN(len(w.proxies))].route(w)
}

func (w *World) inGap() bool {
	since := time.Duration(w.now - w.spec.Start.UnixNano())
	for _, g := range w.spec.Network.Gaps {
		if since >= g.After && since < g.After+g.For {
			return true
		}
	}
	return false
}

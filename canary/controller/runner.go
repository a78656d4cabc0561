package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// mailboxSize is how many letters may wait. A full mailbox holds back the log
// streams, and Envoy queues for them.
const mailboxSize = 256

// glance is how often a snapshot is taken when nothing was decided.
const glance = 250 * time.Millisecond

// runner is the goroutine of one Controller.
type runner struct {
	now     func() time.Time
	mail    chan func(*Controller)
	urgent  chan func(*Controller) // verbs: they overtake the mail
	stopped chan struct{}
	// withdraw tells the goroutine that its route is no longer configured.
	withdraw func()
	ended    chan struct{} // closed when the goroutine has

	latest atomic.Pointer[Snapshot]
	reads  atomic.Pointer[config.Compare] // of bodies of answers to copies

	controller *Controller // the goroutine's, once it runs
}

func newRunner(c *Controller, now func() time.Time) *runner {
	r := &runner{
		now:        now,
		mail:       make(chan func(*Controller), mailboxSize),
		urgent:     make(chan func(*Controller)),
		stopped:    make(chan struct{}),
		ended:      make(chan struct{}),
		controller: c,
	}
	r.withdraw = sync.OnceFunc(func() { close(r.stopped) })
	s := c.Snapshot(now())
	r.latest.Store(&s)
	return r
}

// isWithdrawn says whether the route is no longer configured.
func (r *runner) isWithdrawn() bool {
	select {
	case <-r.stopped:
		return true
	default:
		return false
	}
}

// run owns the Controller until ctx is done or its route is withdrawn.
func (r *runner) run(ctx context.Context, done <-chan struct{}) {
	ticker := time.NewTicker(Period)
	defer ticker.Stop()
	defer func() { r.controller.leave(r.now()) }()
	var seen canary.State
	var at time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-r.stopped:
			r.depart()
			return
		case letter := <-r.urgent:
			letter(r.controller)
		case letter := <-r.mail:
			r.overtaken()
			letter(r.controller)
		case <-ticker.C:
			r.controller.Tick(r.now())
		}
		r.reads.Store(r.controller.reads())
		if now := r.now(); r.controller.state.Seq != seen.Seq || now.Sub(at) >= glance {
			seen, at = r.controller.state, now
			s := r.controller.Snapshot(now)
			r.latest.Store(&s)
		}
	}
}

// depart takes what was seen until now, and ends what runs.
func (r *runner) depart() {
	for range len(r.mail) {
		(<-r.mail)(r.controller)
	}
	now := r.now()
	r.controller.Withdraw(now)
	s := r.controller.Snapshot(now)
	r.latest.Store(&s)
}

// overtaken lets a waiting verb go first.
func (r *runner) overtaken() {
	select {
	case letter := <-r.urgent:
		letter(r.controller)
	default:
	}
}

// gone waits until the goroutine of a route that is withdrawn has ended.
func (r *runner) gone(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-r.ended:
		return nil
	case <-done:
		return context.Canceled
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// post leaves a letter. It waits while the mailbox is full.
func (r *runner) post(done <-chan struct{}, letter func(*Controller)) {
	select {
	case r.mail <- letter:
	case <-r.stopped:
	case <-done:
	}
}

// offer leaves a letter where there is room for many.
func (r *runner) offer(letter func(*Controller)) {
	if len(r.mail) > mailboxSize/2 {
		return
	}
	select {
	case r.mail <- letter:
	default:
	}
}

// ask has the Controller do something now, and waits for its answer.
func (r *runner) ask(ctx context.Context, done <-chan struct{}, what func(*Controller) error) error {
	answer := make(chan error, 1)
	letter := func(c *Controller) {
		err := what(c)
		s := c.Snapshot(r.now())
		r.latest.Store(&s)
		answer <- err
	}
	select {
	case r.urgent <- letter:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.stopped:
		return ErrNoRoute
	case <-done:
		return context.Canceled
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *runner) snapshot() Snapshot { return *r.latest.Load() }

package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// engine owns the Batcher. Its fields below the blank line belong to the
// goroutine in run; others reach it through the channels.
type engine struct {
	backend  Backend
	metrics  *metrics
	arrivals chan *call
	leaving  chan *call
	done     chan struct{} // closed when run has ended

	batcher *serving.Batcher
	calls   map[uint64]*call // waiting ones
	lastID  uint64
}

// call is one request on its way through the engine.
type call struct {
	bound    serving.Bound
	arrived  time.Time
	deadline time.Time
	reply    chan outcome // of one, and gets exactly one

	id      uint64
	started time.Time
}

// outcome is how a call ended.
type outcome struct {
	outputs []serving.Tensor
	err     error
}

// backendError marks what the model, not the caller, did wrong.
type backendError struct{ error }

func newEngine(b Backend, batcher *serving.Batcher, m *metrics) *engine {
	return &engine{
		backend: b, batcher: batcher, metrics: m,
		arrivals: make(chan *call), leaving: make(chan *call), done: make(chan struct{}),
		calls: map[uint64]*call{},
	}
}

// infer waits for a request's answer. If ctx ends first the request leaves the
// queue; one that is running already runs to its end, unheard.
func (e *engine) infer(ctx context.Context, bound serving.Bound, deadline time.Time) ([]serving.Tensor, error) {
	c := &call{bound: bound, arrived: time.Now(), deadline: deadline, reply: make(chan outcome, 1)}
	select {
	case e.arrivals <- c:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-e.done:
		return nil, errStopping
	}
	select {
	case out := <-c.reply:
		return out.outputs, out.err
	case <-ctx.Done():
	}
	select {
	case e.leaving <- c:
	case <-e.done:
	}
	return nil, ctx.Err()
}

// warm runs every batch size once, the largest first, so that what grows on
// first use has grown before anything is measured.
func (e *engine) warm(ctx context.Context, s serving.Signature, maxBatch int) error {
	if err := e.warmOne(s, maxBatch); err != nil {
		return err
	}
	for items := 1; items <= maxBatch && ctx.Err() == nil; items++ {
		began := time.Now()
		if err := e.warmOne(s, items); err != nil {
			return err
		}
		e.batcher.Learn(time.Now(), items, time.Since(began))
	}
	return ctx.Err()
}

func (e *engine) warmOne(s serving.Signature, items int) error {
	if _, err := e.compute(s.Sample(items)); err != nil {
		return fmt.Errorf("batch of %d: %w", items, err)
	}
	return nil
}

// run owns the batcher until ctx ends. What waits then is told why.
func (e *engine) run(ctx context.Context) {
	defer close(e.done)
	jobs, finished := make(chan job, 1), make(chan job, 1)
	worked := make(chan struct{})
	go func() { defer close(worked); e.work(jobs, finished) }()
	defer func() { close(jobs); <-worked }()

	timer := time.NewTimer(serving.Forever)
	defer timer.Stop()
	for {
		e.step(time.Now(), jobs, timer)
		select {
		case c := <-e.arrivals:
			e.arrive(c)
		case c := <-e.leaving:
			e.leave(c)
		case j := <-finished:
			e.finish(j)
		case <-timer.C:
		case <-ctx.Done():
			e.abandon(context.Cause(ctx))
			return
		}
	}
}

// step does what the batcher wants done now.
func (e *engine) step(now time.Time, jobs chan<- job, timer *time.Timer) {
	d := e.batcher.Next(now)
	for _, dropped := range d.Dropped {
		e.end(dropped.ID, dropError(dropped.Reason), string(dropped.Reason))
	}
	if len(d.Batch.Requests) > 0 {
		jobs <- e.jobOf(now, d.Batch)
	}
	e.metrics.pending.Set(float64(e.batcher.Waiting()))
	timer.Reset(d.Wait)
}

func (e *engine) arrive(c *call) {
	e.lastID++
	c.id = e.lastID
	now := time.Now()
	err := e.batcher.Admit(now, serving.Request{
		ID: c.id, Items: c.bound.Items, Key: c.bound.Key, Deadline: c.deadline,
	})
	e.calls[c.id] = c
	if err != nil {
		e.end(c.id, err, reasonOf(err))
	}
}

func reasonOf(err error) string {
	if refusal, ok := errors.AsType[*serving.Refusal](err); ok {
		return string(refusal.Reason)
	}
	return "invalid"
}

func (e *engine) leave(c *call) {
	if e.batcher.Cancel(c.id) {
		e.end(c.id, context.Canceled, "cancelled")
	}
}

func (e *engine) finish(j job) {
	if j.err != nil {
		e.batcher.Failed(time.Now())
		return
	}
	e.batcher.Done(time.Now(), j.took)
}

// end tells a waiting call that it will not run.
func (e *engine) end(id uint64, err error, reason string) {
	c := e.calls[id]
	delete(e.calls, id)
	e.metrics.refused(reason)
	c.reply <- outcome{err: err}
}

// abandon ends everything that waits.
func (e *engine) abandon(cause error) {
	for id := range e.calls {
		e.end(id, cause, "stopping")
	}
}

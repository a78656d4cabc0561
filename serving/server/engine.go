package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/server/orca"
)

// engine owns the Batcher. Its fields below the blank line belong to the
// goroutine in run; others reach it through the channels.
type engine struct {
	slots, devices int
	sized          bool         // the model runs certain batch sizes only
	tracer         trace.Tracer // nil: none
	shaping        serving.Shaping
	backend        atomic.Pointer[generation]
	arrivals       chan *call
	leaving        chan *call
	asks           chan func(now time.Time) // called by run
	done           chan struct{}            // closed when run has ended
	report         atomic.Pointer[report]   // of a moment ago
	away           atomic.Bool              // the model is where nobody answers
	left, back     func()                   // called on the way to and from away

	batcher  *serving.Batcher
	calls    map[uint64]*call // those whose end is not known to run
	lastID   uint64
	load     serving.Load
	reported time.Time
	unheard  int // runs in a row that nobody answered
}

// report is a load report in the forms in which it travels.
type report struct{ text, binary string }

// reportAge is how old a report may be that goes out with a response: making one
// costs more than a small request may.
const reportAge = 20 * time.Millisecond

// call is one request on its way through the engine.
type call struct {
	asked    asked
	bound    serving.Bound // padded
	original serving.Bound
	bytes    int64
	arrived  time.Time
	reply    chan outcome // of one, and gets exactly one

	id      uint64
	started time.Time
	claimed atomic.Bool // by whoever ends it: the worker, or the engine while its batch waits for a device
}

// asked is what a request wants besides an answer.
type asked struct {
	deadline time.Time // zero: none
	priority serving.Priority
	trace    trace.SpanContext
}

// outcome is how a call ended.
type outcome struct {
	outputs []serving.Tensor
	version string
	err     error

	waited, ran time.Duration // for a batch and a device, and in the model
}

// backendError marks what the model, not the caller, did wrong.
type backendError struct{ error }

func (e backendError) Unwrap() error { return e.error }

func newEngine(g *generation, batcher *serving.Batcher, c Config) *engine {
	e := &engine{
		slots: c.Slots, devices: c.Devices, sized: len(c.Sizes) > 0, tracer: c.Tracer, shaping: c.Shaping, batcher: batcher,
		arrivals: make(chan *call), leaving: make(chan *call),
		asks: make(chan func(time.Time)), done: make(chan struct{}),
		calls: map[uint64]*call{},
	}
	e.backend.Store(g)
	return e
}

// infer waits for a request's answer. If ctx ends first the request leaves the
// queue; one that is running already runs to its end, unheard.
func (e *engine) infer(ctx context.Context, bound serving.Bound, a asked) (outcome, error) {
	padded, err := e.shaping.Pad(e.backend.Load().signature, bound)
	if err != nil {
		return outcome{}, err
	}
	c := &call{asked: a, bound: padded, original: bound, arrived: time.Now(), reply: make(chan outcome, 1)}
	for _, t := range padded.Inputs {
		c.bytes += int64(len(t.Data))
	}
	select {
	case e.arrivals <- c:
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	case <-e.done:
		return outcome{}, errStopping
	}
	select {
	case out := <-c.reply:
		return out, out.err
	case <-ctx.Done():
	}
	select {
	case e.leaving <- c:
	case <-e.done:
	}
	return outcome{}, ctx.Err()
}

// ask lets run call f, and waits for it. It is false once run has ended.
func (e *engine) ask(f func(now time.Time)) bool { return e.askUntil(nil, f) }

// askUntil is ask for callers who may leave before run has begun. It is false
// then, too.
func (e *engine) askUntil(left <-chan struct{}, f func(now time.Time)) bool {
	answered := make(chan struct{})
	select {
	case e.asks <- func(now time.Time) { f(now); close(answered) }:
		<-answered
		return true
	case <-left:
		return false
	case <-e.done:
		return false
	}
}

// foresee refuses a request of which only the header was read, if the Batcher
// would. A nil error promises nothing.
func (e *engine) foresee(a asked) error {
	var err error
	running := e.ask(func(now time.Time) {
		err = e.batcher.Foresee(now, serving.Request{Deadline: a.deadline, Priority: a.priority})
		if err != nil {
			e.load.Arrived(now, 1, budget(now, a.deadline))
			e.refused(now, reasonOf(err))
		}
	})
	if !running {
		return errStopping
	}
	return err
}

func budget(now, deadline time.Time) time.Duration {
	if deadline.IsZero() {
		return 0
	}
	return deadline.Sub(now)
}

// loadReport is the load at this moment; false once run or ctx has ended.
func (e *engine) loadReport(ctx context.Context) (r serving.LoadReport, ok bool) {
	ok = e.askUntil(ctx.Done(), func(now time.Time) { r = e.load.Report(now, e.batcher.Rate(), e.batcher.Backlog(now)) })
	return r, ok
}

// run owns the batcher until ctx ends. What waits then is told why.
func (e *engine) run(ctx context.Context) {
	defer close(e.done)
	jobs, finished := make(chan job, e.slots), make(chan job, e.slots)
	defer e.hire(jobs, finished)() //nolint:contextcheck // a batch outlives the context that ends run

	timer := time.NewTimer(serving.Forever)
	defer timer.Stop()
	for {
		now := time.Now()
		timer.Reset(e.step(now, jobs))
		e.publish(now)
		select {
		case c := <-e.arrivals:
			e.arrive(c)
		case c := <-e.leaving:
			e.leave(c)
		case f := <-e.asks:
			f(time.Now())
		case j := <-finished:
			e.finish(j)
		case <-timer.C:
		case <-ctx.Done():
			e.abandon(context.Cause(ctx))
			return
		}
	}
}

// step does what the batcher wants done now, and gives how long to wait.
func (e *engine) step(now time.Time, jobs chan<- job) time.Duration {
	defer func() { e.metrics().pending.Set(float64(e.batcher.Waiting())) }()
	for {
		d := e.batcher.Next(now)
		for _, dropped := range d.Dropped {
			e.end(now, dropped.ID, dropError(dropped.Reason), string(dropped.Reason))
		}
		if len(d.Batch.Requests) > 0 {
			jobs <- e.jobOf(now, d.Batch) // has room for as many as may be in flight
		}
		if d.Wait > 0 {
			return d.Wait
		}
	}
}

// publish makes a report for responses, if the last one is old.
func (e *engine) publish(now time.Time) {
	if now.Sub(e.reported) < reportAge {
		return
	}
	e.reported = now
	r := e.load.Report(now, e.batcher.Rate(), e.batcher.Backlog(now))
	if r.RPS > 0 {
		e.report.Store(&report{text: orca.Text(r), binary: orca.Binary(r)})
	}
}

func (e *engine) arrive(c *call) {
	e.lastID++
	c.id = e.lastID
	now := time.Now()
	e.load.Arrived(now, c.bound.Items, budget(now, c.asked.deadline))
	err := e.batcher.Admit(now, serving.Request{
		ID: c.id, Items: c.bound.Items, Bytes: c.bytes, Key: c.bound.Key,
		Deadline: c.asked.deadline, Priority: c.asked.priority,
	})
	e.calls[c.id] = c
	if err != nil {
		e.end(now, c.id, err, reasonOf(err))
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
		e.end(time.Now(), c.id, context.Canceled, "cancelled")
	}
}

func (e *engine) finish(j job) {
	now := time.Now()
	for _, c := range j.calls {
		delete(e.calls, c.id)
	}
	e.follow(j.err)
	if j.err != nil {
		e.load.Failed(now, j.ran-j.saved)
		e.load.Answered(now, j.saved)
		e.batcher.Failed(now, j.id)
		return
	}
	e.load.Answered(now, j.ran)
	e.batcher.Done(now, j.id, j.spent)
}

// end tells a call that it will not run, unless it runs just now.
func (e *engine) end(now time.Time, id uint64, err error, reason string) {
	c := e.calls[id]
	delete(e.calls, id)
	if c.claimed.CompareAndSwap(false, true) {
		e.refused(now, reason)
		c.reply <- outcome{err: err}
	}
}

// metrics are those of the version that is served now.
func (e *engine) metrics() *metrics { return e.backend.Load().metrics }

// refused counts a request that was not run. One whose caller left says nothing
// of this server.
func (e *engine) refused(now time.Time, reason string) {
	e.metrics().refused(reason)
	if reason != "cancelled" && reason != "invalid" {
		e.load.Failed(now, 1)
	}
}

// abandon ends everything that waits. What a worker has it answers.
func (e *engine) abandon(cause error) {
	for id := range e.calls {
		e.end(time.Now(), id, cause, "stopping")
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// job is a batch on its way through the model.
type job struct {
	id          uint64
	calls       []*call
	items, rows int
	sized       bool          // the model runs certain sizes only
	expected    time.Duration // on the device
	ran         int           // calls that were not dropped while the batch waited for a device

	computing time.Time // when the device began
	padding   float64   // share of the inputs
	spent     serving.Spent
	err       error
	errs      []error // of the calls, which were run alone after err; nil if they were not
	saved     int     // of these, calls that were answered

	savedItems int // of those
}

// jobOf finds a batch's calls.
func (e *engine) jobOf(now time.Time, b serving.Batch) job {
	j := job{
		id: b.ID, calls: make([]*call, len(b.Requests)), items: b.Items, rows: b.Rows, sized: e.sized,
		expected: e.batcher.Cost().Predict(b.Rows),
	}
	for i, r := range b.Requests {
		c := e.calls[r.ID]
		c.started = now
		j.calls[i] = c
	}
	return j
}

// hire starts one worker per slot. What it gives ends them and waits for that.
func (e *engine) hire(jobs chan job, finished chan<- job) (dismiss func()) {
	devices := make(chan struct{}, e.devices)
	var workers sync.WaitGroup
	for slot := range e.slots {
		workers.Go(func() {
			for j := range jobs {
				e.answer(&j, slot, devices)
				finished <- j
			}
		})
	}
	return func() { close(jobs); workers.Wait() }
}

// answer runs one batch and gives every call its own rows or error.
func (e *engine) answer(j *job, slot int, devices chan struct{}) {
	g := e.backend.Load()
	for !g.enter() { // it was replaced just now
		g = e.backend.Load()
	}
	defer g.leave()

	began := time.Now()
	requests := make([]serving.Bound, len(j.calls))
	for i, c := range j.calls {
		requests[i] = c.bound
	}
	joined := serving.Gather(requests, j.rows)
	j.padding = wasted(j.calls, joined)
	j.spent.Before = time.Since(began)

	devices <- struct{}{}
	letOthers()
	mine := j.claim()
	if j.ran == 0 {
		<-devices
		j.err = errDropped
		return
	}
	j.computing = time.Now()
	ctx, cancel := j.within(j.context())
	defer cancel()
	outputs, err := g.compute(ctx, slot, joined)
	var parts [][]serving.Tensor
	if err == nil {
		parts, err = serving.Scatter(outputs, requests, j.rows)
	}
	j.err = err
	if err != nil && j.ran > 1 && !elsewhere(err) {
		parts = j.alone(ctx, g, slot, mine)
	}
	computed := time.Now()
	<-devices
	j.spent.Device = computed.Sub(j.computing)
	e.hand(j, g, mine, parts)
	j.spent.After = time.Since(computed)
}

// elsewhere says whether an error is no request's: none would do better alone.
func elsewhere(err error) bool {
	return errors.Is(err, serving.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// within ends a run at the last deadline of its calls, if all have one.
func (j *job) within(ctx context.Context) (context.Context, context.CancelFunc) {
	var last time.Time
	for _, c := range j.calls {
		if c.asked.deadline.IsZero() {
			return ctx, func() {}
		}
		last = later(last, c.asked.deadline)
	}
	return context.WithDeadline(ctx, last)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// alone runs the calls of a batch that failed one by one, once: the call that
// cannot be run is to cost its neighbours nothing but time. Those whose deadline
// has passed meanwhile keep the batch's error. A model that runs certain sizes
// only is run with the batch's.
func (j *job) alone(ctx context.Context, g *generation, slot int, mine []bool) [][]serving.Tensor {
	parts := make([][]serving.Tensor, len(j.calls))
	j.errs = make([]error, len(j.calls))
	for i, c := range j.calls {
		j.errs[i] = j.err
		if !mine[i] || !c.asked.deadline.IsZero() && !time.Now().Before(c.asked.deadline) {
			continue
		}
		lone := []serving.Bound{c.bound}
		rows := c.bound.Items
		if j.sized {
			rows = j.rows
		}
		outputs, err := g.compute(ctx, slot, serving.Gather(lone, rows))
		if err == nil {
			var own [][]serving.Tensor
			if own, err = serving.Scatter(outputs, lone, rows); err == nil {
				parts[i] = own[0]
				j.saved++
				j.savedItems += c.bound.Items
			}
		}
		j.errs[i] = err
	}
	return parts
}

// failure is how the i-th call's run failed; nil if it did not.
func (j *job) failure(i int) error {
	if j.errs != nil {
		return j.errs[i]
	}
	return j.err
}

// waited is how long a call waited for a batch and a device.
func (j *job) waited(c *call) time.Duration { return j.computing.Sub(c.arrived) - j.spent.Before }

// wasted is the share of a batch's inputs that callers did not send.
func wasted(calls []*call, joined []serving.Tensor) float64 {
	sent, computed := 0, 0
	for _, c := range calls {
		for _, t := range c.original.Inputs {
			sent += len(t.Data)
		}
	}
	for _, t := range joined {
		computed += len(t.Data)
	}
	return max(0, 1-float64(sent)/float64(max(computed, 1)))
}

// letOthers lets goroutines go first that are ready. On a single core the run
// would hold up the answers of the one before. Twice, for the scheduler takes one
// in 61 out of turn.
func letOthers() {
	for range 2 {
		runtime.Gosched()
	}
}

// errDropped ends a batch of which no call is left.
var errDropped = errors.New("every request of the batch was dropped")

// claim says which calls the run will answer.
func (j *job) claim() []bool {
	mine := make([]bool, len(j.calls))
	for i, c := range j.calls {
		if mine[i] = c.claimed.CompareAndSwap(false, true); mine[i] {
			j.ran++
		}
	}
	return mine
}

// hand gives every call its answer, after it was counted.
func (e *engine) hand(j *job, g *generation, mine []bool, parts [][]serving.Tensor) {
	g.metrics.ran(j)
	for i, c := range j.calls {
		if !mine[i] {
			continue
		}
		out := outcome{version: g.version, waited: j.waited(c), ran: j.spent.Device}
		if err := j.failure(i); err != nil {
			out.err = backendError{err}
		} else {
			out.outputs = e.shaping.Crop(c.original.Inputs, parts[i])
			g.metrics.answered(c, j)
			g.sketch(out.outputs)
			e.traced(j, c)
		}
		c.reply <- out
	}
}

// compute runs the model and checks what it gave. A panic is the batch's error,
// not the process's end.
func (g *generation) compute(ctx context.Context, slot int, inputs []serving.Tensor) (outputs []serving.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("model panicked: %v", p)
		}
	}()
	if outputs, err = g.backend.Run(ctx, slot, inputs); err != nil {
		return nil, err
	}
	return outputs, g.signature.Verify(outputs)
}

package server

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// job is a batch on its way through the model.
type job struct {
	calls []*call
	items int

	took time.Duration
	err  error
}

// jobOf takes a batch's calls out of the waiting ones.
func (e *engine) jobOf(now time.Time, b serving.Batch) job {
	j := job{calls: make([]*call, len(b.Requests)), items: b.Items}
	for i, r := range b.Requests {
		c := e.calls[r.ID]
		c.started = now
		j.calls[i] = c
		delete(e.calls, r.ID)
	}
	return j
}

// work runs jobs one after the other and answers their calls.
func (e *engine) work(jobs <-chan job, finished chan<- job) {
	for j := range jobs {
		j.took, j.err = e.answer(j)
		finished <- j
	}
}

// answer runs one batch and gives every call its own rows, or all the error.
func (e *engine) answer(j job) (time.Duration, error) {
	began := time.Now()
	inputs := make([][]serving.Tensor, len(j.calls))
	items := make([]int, len(j.calls))
	for i, c := range j.calls {
		inputs[i], items[i] = c.bound.Inputs, c.bound.Items
	}
	joined := serving.Gather(inputs)
	gathered := time.Now()
	outputs, err := e.compute(joined)
	computed := time.Now()
	var parts [][]serving.Tensor
	if err == nil {
		parts, err = serving.Scatter(outputs, items)
	}
	if err != nil {
		err = backendError{err}
	}
	e.metrics.ran(j, spent{input: gathered.Sub(began), infer: computed.Sub(gathered), output: time.Since(computed)}, err)
	for i, c := range j.calls {
		out := outcome{err: err}
		if err == nil {
			out.outputs = parts[i]
		}
		c.reply <- out
	}
	return time.Since(began), err
}

// compute runs the model. A panic is the batch's error, not the process's end.
func (e *engine) compute(inputs []serving.Tensor) (outputs []serving.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("model panicked: %v", p)
		}
	}()
	return e.backend.Run(inputs)
}

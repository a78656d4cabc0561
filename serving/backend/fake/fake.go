// Package fake is a model that takes a known time and answers with what it was
// asked: for tests of the server, under virtual time too. It computes nothing.
// Start reading at New.
package fake

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// Config is the model's cost: a batch of b rows takes Fixed + b·PerItem.
type Config struct {
	Fixed, PerItem time.Duration
	// Before is called at the start of each run, on the running goroutine, with
	// the inputs. Its error is the run's; it may panic or block. Optional.
	Before func(inputs []serving.Tensor) error
}

// Model echoes its input "in", INT32 [-1,width], as its output "out".
type Model struct {
	config Config
	width  int64
	runs   atomic.Int64
	closed atomic.Bool
}

// New makes a model whose rows have width elements.
func New(width int64, c Config) (*Model, error) {
	if width < 1 {
		return nil, fmt.Errorf("width: at least 1, found %d", width)
	}
	return &Model{config: c, width: width}, nil
}

// Signature is one INT32 input and one output of the same shape.
func (m *Model) Signature() serving.Signature {
	shape := serving.Shape{serving.Any, m.width}
	return serving.Signature{
		Inputs:  []serving.Spec{{Name: "in", Datatype: serving.Int32, Shape: shape}},
		Outputs: []serving.Spec{{Name: "out", Datatype: serving.Int32, Shape: shape}},
	}
}

// ErrClosed is what a run after Close gets.
var ErrClosed = errors.New("model is closed")

// Run waits for the batch's cost and gives the input back.
func (m *Model) Run(_ context.Context, _ int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	if m.closed.Load() {
		return nil, ErrClosed
	}
	m.runs.Add(1)
	if m.config.Before != nil {
		if err := m.config.Before(inputs); err != nil {
			return nil, err
		}
	}
	in := inputs[0]
	time.Sleep(m.config.Fixed + time.Duration(in.Shape[0])*m.config.PerItem)
	return []serving.Tensor{{Name: "out", Datatype: in.Datatype, Shape: in.Shape, Data: in.Data}}, nil
}

// Runs counts the batches run so far.
func (m *Model) Runs() int64 { return m.runs.Load() }

// Close makes later runs fail.
func (m *Model) Close() error {
	m.closed.Store(true)
	return nil
}

package server_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/server"
)

// choosy takes rows of 4 at least, as a model with a convolution does.
type choosy struct {
	mu     sync.Mutex
	widths []int64
}

func (*choosy) Signature() serving.Signature {
	spec := serving.Spec{Name: "x", Datatype: serving.Int64, Shape: serving.Shape{serving.Any, serving.Any}}
	y := spec
	y.Name = "y"
	return serving.Signature{Inputs: []serving.Spec{spec}, Outputs: []serving.Spec{y}}
}

func (c *choosy) Run(_ context.Context, _ int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	width := inputs[0].Shape[1]
	c.mu.Lock()
	c.widths = append(c.widths, width)
	c.mu.Unlock()
	if width < 4 {
		return nil, errors.New("kernel does not fit")
	}
	y := inputs[0]
	y.Name = "y"
	return []serving.Tensor{y}, nil
}

func TestAWarmUpRunsWhatPaddingMakes(t *testing.T) {
	pads := serving.Shaping{Pads: []serving.Pad{{Input: "x", Dim: 1, Sizes: []int64{4, 64}}}}
	for _, test := range []struct {
		name    string
		shaping serving.Shaping
		want    string
	}{
		{"the longest", pads, ""},
		{"1 where nothing is said", serving.Shaping{}, "warm-up: batch of 2: kernel does not fit (with 1 for x:1: --pad says what to run instead)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model := &choosy{}
				ctx, stop := context.WithCancel(t.Context())
				s, err := server.New(server.Config{
					Model: "m", Version: "1", Backend: model, Listener: newQuiet(), MaxBatch: 2, Capacity: 4,
					Shaping: test.shaping, Warm: stop,
				})
				require.NoError(t, err)
				err = s.Run(ctx)
				stop()
				if test.want != "" {
					assert.EqualError(t, err, test.want)
					return
				}
				assert.NoError(t, err)
				assert.Equal(t, []int64{64}, slices.Compact(model.widths))
			})
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/onnx"
)

func TestACellSaysWhetherItIsFair(t *testing.T) {
	quiet := limit{Single: 160, Batched: 150, Share: 0.95}
	c := cell{before: quiet, after: quiet, seconds: 2, result: result{Good: 240}}
	assert.True(t, c.fair())
	assert.InDelta(t, 0.75, c.share(), 1e-9)
	c.after.Share = 0.5
	assert.False(t, c.fair(), "a neighbour took the core")
	c.after = limit{Single: 100, Share: 0.95}
	assert.False(t, c.fair(), "the limit moved")
}

func TestArrivalsAreTheSameForAll(t *testing.T) {
	first := poisson(100, 10)
	assert.Equal(t, first, poisson(100, 10))
	assert.InDelta(t, 1000, len(first), 100)
	assert.Less(t, first[len(first)-1], 10*time.Second)
}

func TestTheMLPIsAModelThatTheRuntimeTakes(t *testing.T) {
	m, err := mlp(filepath.Join(t.TempDir(), "bench"))
	require.NoError(t, err)
	library, err := onnx.Load(parts.ONNXRuntime(t))
	require.NoError(t, err)
	raw, err := library.Open(onnx.Config{Path: m.path})
	require.NoError(t, err)
	defer raw.Close()
	assert.Equal(t, serving.Signature{
		Inputs:  []serving.Spec{{Name: "x", Datatype: serving.FP32, Shape: serving.Shape{-1, 512}}},
		Outputs: []serving.Spec{{Name: "y", Datatype: serving.FP32, Shape: serving.Shape{-1, 10}}},
	}, raw.Signature())
	out, err := raw.Run(t.Context(), 0, m.batchOf(2))
	require.NoError(t, err)
	single, err := raw.Run(t.Context(), 0, []serving.Tensor{m.tensor(0)})
	require.NoError(t, err)
	assert.True(t, near(single[0].Data, out[0].Data[:40]))
	info, err := os.Stat(m.path)
	require.NoError(t, err)
	assert.Greater(t, info.Size(), int64(4*4096*4096))
}

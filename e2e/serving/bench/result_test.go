package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
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

func TestOverheadIsReadFromTheServersHistogram(t *testing.T) {
	_, ok := bucketOf(`sluice_serving_queue_seconds_bucket{le="0.1"} 7`)
	assert.False(t, ok, "of another histogram")
	b, ok := bucketOf(`sluice_serving_overhead_seconds_bucket{model="m",version="1",le="+Inf"} 7`)
	assert.True(t, ok)
	assert.Equal(t, bucket{math.Inf(1), 7}, b)

	before := buckets{{0.0001, 5}, {0.0005, 5}, {math.Inf(1), 5}}
	after := buckets{{0.0001, 55}, {0.0005, 105}, {math.Inf(1), 106}}
	assert.InDelta(t, 0.0001, after.since(before).quantile(0.49), 0)
	assert.InDelta(t, 0.0005, after.since(before).quantile(0.99), 0)
	assert.True(t, math.IsNaN(before.since(before).quantile(0.99)), "of no request")
}

func TestRowsAreOfATable(t *testing.T) {
	columns := func(text string) int { return strings.Count(text, "|") }
	head, _, _ := strings.Cut(header, "\n")
	row := cell{overhead: math.NaN(), seconds: 1, before: limit{Single: 1}, after: limit{Single: 1}}.String()
	assert.Equal(t, columns(head), columns(row))
	assert.NotContains(t, row, "NaN", "what was not measured is a dash")
	head, _, _ = strings.Cut(traitHeader, "\n")
	assert.Equal(t, columns(head), columns(traits{}.String()))
}

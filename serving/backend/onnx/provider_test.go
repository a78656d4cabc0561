package onnx_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/serving/backend/onnx"
)

// TestNothingFallsBackToTheProcessor asks a library that was built for the
// processor for a GPU.
func TestNothingFallsBackToTheProcessor(t *testing.T) {
	library := load(t)
	for _, name := range []string{"cuda", "tensorrt"} {
		p, err := onnx.ParseProvider(name)
		require.NoError(t, err)
		_, err = library.Open(onnx.Config{Path: filepath.Join(parts.Magika(t, "v3-3"), "model.onnx"), Provider: p, Slots: 2})
		assert.ErrorContains(t, err, "provider "+name+": ")
	}
	_, err := onnx.ParseProvider("gpu")
	assert.EqualError(t, err, `provider: one of cpu, cuda, tensorrt, found "gpu"`)
}

package onnx_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/onnx"
	"github.com/sluice-dev/sluice/serving/magika"
)

func load(t testing.TB) *onnx.Library {
	t.Helper()
	library, err := onnx.Load(parts.ONNXRuntime(t))
	require.NoError(t, err)
	return library
}

func open(t testing.TB, version string) *onnx.Model {
	t.Helper()
	model, err := load(t).Open(onnx.Config{Path: filepath.Join(parts.Magika(t, version), "model.onnx")})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, model.Close()) })
	return model
}

func configOf(t testing.TB, version string) *magika.Config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts.Magika(t, version), "config.min.json"))
	require.NoError(t, err)
	c, err := magika.Parse(text)
	require.NoError(t, err)
	return c
}

// sample is a file with its label by the models' own package.
type sample struct {
	name    string
	content []byte
	Label   string             `json:"label"`
	Scores  map[string]float64 `json:"scores"`
}

func samples(t testing.TB) []sample {
	t.Helper()
	const dir = "../../magika/testdata"
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	require.NoError(t, err)
	var golden map[string]sample
	require.NoError(t, json.Unmarshal(text, &golden))
	var out []sample
	for name, s := range golden {
		s.name = name
		s.content, err = os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		out = append(out, s)
	}
	return out
}

func tensorOf(rows ...[]int32) serving.Tensor {
	t := serving.Tensor{Name: "bytes", Datatype: serving.Int32, Shape: serving.Shape{int64(len(rows)), 2048}}
	for _, row := range rows {
		for _, v := range row {
			t.Data = binary.LittleEndian.AppendUint32(t.Data, uint32(v))
		}
	}
	return t
}

func floats(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func TestRealFilesGetTheirPublishedLabels(t *testing.T) {
	for _, version := range []string{"v3-2", "v3-3"} {
		t.Run(version, func(t *testing.T) {
			model, config := open(t, version), configOf(t, version)
			assert.Equal(t, serving.Signature{
				Inputs:  []serving.Spec{{Name: "bytes", Datatype: serving.Int32, Shape: serving.Shape{-1, 2048}}},
				Outputs: []serving.Spec{{Name: "target_label", Datatype: serving.FP32, Shape: serving.Shape{-1, 214}}},
			}, model.Signature())

			files := samples(t)
			var rows [][]int32
			for _, f := range files {
				rows = append(rows, config.Features(f.content))
			}
			outputs, err := model.Run(t.Context(), 0, []serving.Tensor{tensorOf(rows...)}) // one batch of all
			require.NoError(t, err)
			require.Equal(t, serving.Shape{int64(len(files)), 214}, outputs[0].Shape)
			scores := floats(outputs[0].Data)
			for i, f := range files {
				own := scores[i*214 : (i+1)*214]
				assert.Equal(t, f.Label, config.Label(own), f.name)
				assert.InDelta(t, f.Scores[version], highest(own), 0.005, f.name)
			}
		})
	}
}

func highest(scores []float32) float64 {
	best := 0.0
	for _, s := range scores {
		best = math.Max(best, float64(s))
	}
	return best
}

func TestRunsMayOverlap(t *testing.T) {
	model, config := open(t, "v3-3"), configOf(t, "v3-3")
	var group sync.WaitGroup
	for _, f := range samples(t) {
		group.Go(func() {
			outputs, err := model.Run(t.Context(), 0, []serving.Tensor{tensorOf(config.Features(f.content))})
			assert.NoError(t, err)
			assert.Equal(t, f.Label, config.Label(floats(outputs[0].Data)))
		})
	}
	group.Wait()
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	library := load(t)
	_, err := library.Open(onnx.Config{Path: "absent.onnx"})
	assert.EqualError(t, err, "model: stat absent.onnx: no such file or directory")

	garbage := filepath.Join(t.TempDir(), "garbage.onnx")
	require.NoError(t, os.WriteFile(garbage, []byte("no model"), 0o600))
	_, err = library.Open(onnx.Config{Path: garbage})
	assert.ErrorContains(t, err, "model "+garbage)

	_, err = library.Open(onnx.Config{Path: garbage, Threads: -1})
	assert.EqualError(t, err, "threads and slots: not negative, found -1 and 0")
}

func BenchmarkRun(b *testing.B) {
	model, config := open(b, "v3-3"), configOf(b, "v3-3")
	input := []serving.Tensor{tensorOf(config.Features(samples(b)[0].content))}
	for b.Loop() {
		if _, err := model.Run(b.Context(), 0, input); err != nil {
			b.Fatal(err)
		}
	}
}

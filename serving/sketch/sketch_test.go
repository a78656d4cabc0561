package sketch_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/serving/sketch"
)

func rows(scores ...float32) []byte {
	var data []byte
	for _, s := range scores {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(s))
	}
	return data
}

func TestSketch(t *testing.T) {
	s, err := sketch.New(3)
	require.NoError(t, err)
	nan := float32(math.NaN())
	s.Add(rows(
		1, 0, 0, // sure
		0, 0.99, 0.01, // nearly
		0.34, 0.33, 0.33, // undecided
		0.1, nan, 0.9,
		0, float32(math.Inf(1)), 0,
		-3, 2, 8, // logits
		1, // a row that is not whole
	))
	want := &sketch.Sketch{Rows: 6, Classes: []uint64{2, 1, 1}, Broken: 2, Unnormalized: 1}
	want.Confidence[19], want.Confidence[6] = 2, 1
	want.Entropy[0], want.Entropy[1], want.Entropy[19] = 1, 1, 1
	assert.Equal(t, want, s)
}

func TestSketchesOfTwoPodsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole, _ := sketch.New(4)
		merged, _ := sketch.New(4)
		for range rapid.IntRange(1, 4).Draw(t, "pods") {
			pod, _ := sketch.New(4)
			data := rows(rapid.SliceOfN(rapid.Float32Range(0, 1), 0, 20).Draw(t, "scores")...)
			data = data[:len(data)/16*16]
			pod.Add(data)
			whole.Add(data)
			require.NoError(t, merged.Merge(pod))
		}
		require.Equal(t, whole, merged)
	})
}

func TestSketchesOfOtherClassesDoNotMix(t *testing.T) {
	a, _ := sketch.New(3)
	b, _ := sketch.New(4)
	assert.EqualError(t, a.Merge(b), "classes: 3, found 4")
	_, err := sketch.New(1)
	assert.EqualError(t, err, "classes: at least 2, found 1")
}

func BenchmarkAdd(b *testing.B) {
	s, _ := sketch.New(214)
	row := make([]float32, 214)
	row[3], row[9] = 0.75, 0.25
	data := rows(row...)
	for b.Loop() {
		s.Add(data)
	}
}

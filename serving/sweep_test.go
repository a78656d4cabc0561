package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

func TestSweep(t *testing.T) {
	var s serving.Sweep
	assert.Equal(t, []int{1, 2, 3, 4, 6, 9, 13, 19, 28, 32}, s.Sizes(32, nil))
	assert.Equal(t, []int{1}, s.Sizes(1, nil))
	assert.Equal(t, []int{8, 32}, s.Sizes(32, []int{8, 32}))
	assert.Equal(t, 32, s.Best(32), "nothing known: as many as allowed")

	s.Observe(1, 6*ms)
	s.Observe(2, 14*ms)
	assert.Equal(t, 1, s.Best(32), "two are slower than twice one")
	s.Observe(4, 20*ms)
	assert.Equal(t, 4, s.Best(32))
	s.Observe(1, 5*ms)
	assert.Equal(t, 1, s.Best(32), "the fastest run counts, and the smallest of equals")
}

func TestADeviceThatIsSlowerWithLargeBatchesGetsSmallOnes(t *testing.T) {
	b, err := serving.New(serving.Config{MaxBatch: 8, Capacity: 8})
	require.NoError(t, err)
	var s serving.Sweep
	for size, took := range map[int]time.Duration{1: 6 * ms, 2: 9 * ms, 4: 16 * ms, 8: 80 * ms} {
		s.Observe(size, took)
	}
	for range 20 {
		b.Learn(epoch, "", 1, ran(6*ms)) // a line through these two hides what is above
		b.Learn(epoch, "", 4, ran(16*ms))
	}
	b.Swept(s)
	for id := range uint64(8) {
		require.NoError(t, b.Admit(at(0), one(id)))
	}
	assert.LessOrEqual(t, b.Next(at(0)).Batch.Items, 4)
}

func TestShaping(t *testing.T) {
	signature := serving.Signature{
		Inputs:  []serving.Spec{{Name: "ids", Datatype: serving.Uint8, Shape: serving.Shape{-1, -1}}, {Name: "s", Datatype: serving.Bytes, Shape: serving.Shape{-1, 1}}},
		Outputs: []serving.Spec{{Name: "out", Datatype: serving.Uint8, Shape: serving.Shape{-1, -1, 2}}},
	}
	shaping := serving.Shaping{
		Pads:  []serving.Pad{{Input: "ids", Dim: 1, Sizes: []int64{2, 4}, Fill: []byte{9}}},
		Crops: []serving.Crop{{Output: "out", Dim: 1, Like: "ids", LikeDim: 1}},
	}
	require.NoError(t, shaping.Check(signature))
	bind := func(length int64, data ...byte) serving.Bound {
		b, err := signature.Bind([]serving.Tensor{
			{Name: "ids", Datatype: serving.Uint8, Shape: serving.Shape{2, length}, Data: data},
			{Name: "s", Datatype: serving.Bytes, Shape: serving.Shape{2, 1}, Data: serving.AppendBytes(serving.AppendBytes(nil, []byte("a")), nil)},
		})
		require.NoError(t, err)
		return b
	}
	t.Run("requests of one bucket share a batch", func(t *testing.T) {
		three, four := bind(3, 1, 2, 3, 4, 5, 6), bind(4, 1, 2, 3, 4, 5, 6, 7, 8)
		assert.NotEqual(t, three.Key, four.Key)
		padded, err := shaping.Pad(signature, three)
		require.NoError(t, err)
		same, err := shaping.Pad(signature, four)
		require.NoError(t, err)
		assert.Equal(t, same.Key, padded.Key)
		assert.Equal(t, []byte{1, 2, 3, 9, 4, 5, 6, 9}, padded.Inputs[0].Data)
		assert.Equal(t, serving.Shape{2, 4}, padded.Inputs[0].Shape)
		assert.Equal(t, serving.Shape{2, 3}, three.Inputs[0].Shape, "the original stays")

		output := serving.Tensor{Name: "out", Datatype: serving.Uint8, Shape: serving.Shape{2, 4, 2}, Data: []byte{1, 1, 2, 2, 3, 3, 0, 0, 4, 4, 5, 5, 6, 6, 0, 0}}
		cropped := shaping.Crop(three.Inputs, []serving.Tensor{output})
		assert.Equal(t, serving.Shape{2, 3, 2}, cropped[0].Shape)
		assert.Equal(t, []byte{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}, cropped[0].Data)
	})
	t.Run("what fits no bucket is refused", func(t *testing.T) {
		_, err := shaping.Pad(signature, bind(5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0))
		assert.EqualError(t, err, `input "ids": dimension 1: at most 4, found 5`)
	})
	t.Run("a shaping that does not match the model is refused whole", func(t *testing.T) {
		wrong := serving.Shaping{
			Pads:  []serving.Pad{{Input: "x", Dim: 1, Sizes: []int64{1}}, {Input: "s", Dim: 1, Sizes: []int64{1}}, {Input: "ids", Dim: 1}},
			Crops: []serving.Crop{{Output: "out", Dim: 1, Like: "ids", LikeDim: 2}},
		}
		assert.EqualError(t, wrong.Check(signature), `pad x:1: the model has no input "x"
pad s:1: dimension 1 is not one that requests choose, found shape [-1,1]
pad ids:1: sizes: positive and ascending, found []
crop out:1: dimension 2 of input "ids" is not padded`)
	})
}

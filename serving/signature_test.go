package serving_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

func pair() serving.Signature {
	return serving.Signature{
		Inputs: []serving.Spec{
			{Name: "bytes", Datatype: serving.Int32, Shape: serving.Shape{serving.Any, 4}},
			{Name: "text", Datatype: serving.Bytes, Shape: serving.Shape{serving.Any, serving.Any}},
		},
		Outputs: []serving.Spec{{Name: "out", Datatype: serving.FP32, Shape: serving.Shape{serving.Any, 2}}},
	}
}

func bytesOf(rows int64) serving.Tensor {
	return serving.Tensor{Name: "bytes", Datatype: serving.Int32, Shape: serving.Shape{rows, 4}, Data: make([]byte, rows*16)}
}

func textOf(rows int64, elements ...string) serving.Tensor {
	t := serving.Tensor{Name: "text", Datatype: serving.Bytes, Shape: serving.Shape{rows, int64(len(elements)) / rows}}
	for _, e := range elements {
		t.Data = serving.AppendBytes(t.Data, []byte(e))
	}
	return t
}

func TestBinding(t *testing.T) {
	bound, err := pair().Bind([]serving.Tensor{textOf(2, "a", "b", "", "d"), bytesOf(2)})
	require.NoError(t, err)
	assert.Equal(t, 2, bound.Items)
	assert.Equal(t, "2,", bound.Key, "the open dimension behind the batch")
	assert.Equal(t, "bytes", bound.Inputs[0].Name, "the signature's order")
}

func TestBindingRefuses(t *testing.T) {
	with := func(change func(*serving.Tensor)) serving.Tensor {
		tensor := bytesOf(1)
		change(&tensor)
		return tensor
	}
	text := textOf(1, "a")
	tests := []struct {
		name   string
		inputs []serving.Tensor
		want   string
	}{
		{"a missing input", []serving.Tensor{bytesOf(1)}, `input "text": missing, the model takes BYTES [-1,-1]`},
		{"an unknown input", []serving.Tensor{bytesOf(1), text, {Name: "x"}}, `input "x": the model has no such input, it has "bytes", "text"`},
		{"an input twice", []serving.Tensor{bytesOf(1), text, text}, `input "text": given more than once`},
		{"another datatype", []serving.Tensor{with(func(t *serving.Tensor) { t.Datatype = serving.FP32 }), text}, `input "bytes": datatype is INT32, found FP32`},
		{"another dimension", []serving.Tensor{with(func(t *serving.Tensor) { t.Shape[1] = 5 }), text}, `input "bytes": shape is [-1,4], found [1,5]`},
		{"another rank", []serving.Tensor{with(func(t *serving.Tensor) { t.Shape = serving.Shape{4} }), text}, `input "bytes": shape is [-1,4], found [4]`},
		{"too little data", []serving.Tensor{with(func(t *serving.Tensor) { t.Data = t.Data[1:] }), text}, `input "bytes": 4 elements of INT32 are 16 bytes, found 15`},
		{"no rows", []serving.Tensor{bytesOf(0), text}, `input "bytes": shape [0,4] has no elements`},
		{"a negative dimension", []serving.Tensor{with(func(t *serving.Tensor) { t.Shape[0] = -1 }), text}, `input "bytes": shape [-1,4] has no countable elements`},
		{"an overflowing dimension", []serving.Tensor{with(func(t *serving.Tensor) { t.Shape[0] = 1 << 62 }), text}, `input "bytes": shape [4611686018427387904,4] has no countable elements`},
		{"an overflowing size", []serving.Tensor{with(func(t *serving.Tensor) { t.Shape[0] = 1 << 60 }), text}, `input "bytes": 4611686018427387904 elements of INT32 are too many bytes, found 16`},
		{"batches that differ", []serving.Tensor{bytesOf(1), textOf(2, "a", "b")}, `input "text": batch of 2, but input "bytes" has a batch of 1`},
		{"too few elements", []serving.Tensor{bytesOf(1), {Name: "text", Datatype: serving.Bytes, Shape: serving.Shape{1, 2}, Data: text.Data}}, `input "text": shape asks for 2 elements of BYTES, found 1`},
		{"a cut length", []serving.Tensor{bytesOf(1), {Name: "text", Datatype: serving.Bytes, Shape: serving.Shape{1, 1}, Data: []byte{1, 0}}}, `input "text": element 0 of BYTES has 2 of the 4 bytes of its length`},
		{"a cut element", []serving.Tensor{bytesOf(1), {Name: "text", Datatype: serving.Bytes, Shape: serving.Shape{1, 1}, Data: []byte{9, 0, 0, 0, 'a'}}}, `input "text": element 0 of BYTES is 9 bytes long, found 1`},
		{"two mistakes at once", []serving.Tensor{
			with(func(t *serving.Tensor) { t.Datatype = serving.FP32 }),
			{Name: "text", Datatype: serving.Int8, Shape: serving.Shape{1, 1}},
		}, "input \"bytes\": datatype is INT32, found FP32\ninput \"text\": datatype is BYTES, found INT8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := pair().Bind(test.inputs)
			assert.EqualError(t, err, test.want)
		})
	}
}

func TestSignatureWithoutABatch(t *testing.T) {
	s := serving.Signature{
		Inputs:  []serving.Spec{{Name: "x", Datatype: serving.FP32, Shape: serving.Shape{serving.Any}}},
		Outputs: []serving.Spec{{Name: "y", Datatype: serving.FP32, Shape: serving.Shape{}}},
	}
	assert.False(t, s.Batchable(), "the output has no rows")
	bound, err := s.Bind([]serving.Tensor{{Name: "x", Datatype: serving.FP32, Shape: serving.Shape{3}, Data: make([]byte, 12)}})
	require.NoError(t, err)
	assert.Equal(t, 1, bound.Items)
}

func TestSampleIsAccepted(t *testing.T) {
	for _, items := range []int{1, 7} {
		bound, err := pair().Bind(pair().Sample(items))
		require.NoError(t, err)
		assert.Equal(t, items, bound.Items)
	}
}

package oippb_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/oippb"
)

func TestRawDataSurvivesItsTypedForm(t *testing.T) {
	all := []serving.Datatype{
		serving.Uint8, serving.Uint16, serving.Uint32, serving.Uint64, serving.Int8, serving.Int16, serving.Int32, serving.Int64,
		serving.FP32, serving.FP64, serving.Bool, serving.Bytes,
	}
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom(all).Draw(t, "datatype")
		var data []byte
		for range rapid.IntRange(0, 5).Draw(t, "elements") {
			switch d {
			case serving.Bool:
				data = append(data, rapid.SampledFrom([]byte{0, 1}).Draw(t, "bool"))
			case serving.Bytes:
				data = serving.AppendBytes(data, []byte(rapid.StringN(0, 4, -1).Draw(t, "text")))
			default:
				bits := rapid.SliceOfN(rapid.ByteRange(0, 126), d.Size(), d.Size()).Draw(t, "bits") // no NaN
				data = append(data, bits...)
			}
		}
		c, err := oippb.Unpack(d, data)
		require.NoError(t, err)
		again, err := oippb.Pack(d, c)
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
	})
}

func TestNegativeNumbersSurvive(t *testing.T) {
	for d, data := range map[serving.Datatype][]byte{
		serving.Int8: {0xff, 0x80}, serving.Int16: {0xfe, 0xff}, serving.Int32: {0, 0, 0, 0x80}, serving.Int64: {1, 2, 3, 4, 5, 6, 7, 0xff},
	} {
		c, err := oippb.Unpack(d, data)
		require.NoError(t, err)
		again, err := oippb.Pack(d, c)
		require.NoError(t, err)
		assert.Equal(t, data, again, d)
	}
}

func TestContentsThatAreWrong(t *testing.T) {
	tests := []struct {
		name     string
		datatype serving.Datatype
		contents *oippb.InferTensorContents
		want     string
	}{
		{"a datatype without typed elements", serving.FP16, nil, "contents: FP16 has no typed form, send it in raw_input_contents"},
		{"elements of another datatype", serving.FP32, &oippb.InferTensorContents{IntContents: []int32{1}}, "contents: FP32 is in fp32_contents, found 1 elements in int_contents"},
		{"too large", serving.Int8, &oippb.InferTensorContents{IntContents: []int32{127, 128}}, "contents: element 1 is no INT8, found 128"},
		{"too small", serving.Int16, &oippb.InferTensorContents{IntContents: []int32{-32769}}, "contents: element 0 is no INT16, found -32769"},
		{"too large without a sign", serving.Uint8, &oippb.InferTensorContents{UintContents: []uint32{256}}, "contents: element 0 is no UINT8, found 256"},
	}
	for _, test := range tests {
		_, err := oippb.Pack(test.datatype, test.contents)
		assert.EqualError(t, err, test.want, test.name)
	}
	_, err := oippb.Unpack(serving.BF16, nil)
	assert.EqualError(t, err, "BF16 has no typed form")
}

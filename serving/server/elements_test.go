package server

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

func TestElementsSurviveBothWays(t *testing.T) {
	tests := []struct {
		datatype  serving.Datatype
		text      string
		size      int // of the raw form
		canonical string
	}{
		{serving.Bool, `[true,false]`, 2, `[true,false]`},
		{serving.Int8, `[-128,127]`, 2, `[-128,127]`},
		{serving.Int16, `[[-32768],[32767]]`, 4, `[-32768,32767]`},
		{serving.Int32, " [ -2147483648 ,\n2147483647 ] ", 8, `[-2147483648,2147483647]`},
		{serving.Int64, `[-9223372036854775808]`, 8, `[-9223372036854775808]`},
		{serving.Uint8, `[0,255]`, 2, `[0,255]`},
		{serving.Uint16, `[65535]`, 2, `[65535]`},
		{serving.Uint32, `[4294967295]`, 4, `[4294967295]`},
		{serving.Uint64, `[18446744073709551615]`, 8, `[18446744073709551615]`},
		{serving.FP32, `[1,-0.5,1e10,0.1]`, 16, `[1,-0.5,1e+10,0.1]`},
		{serving.FP64, `[0.1,1e300]`, 16, `[0.1,1e+300]`},
		{serving.Bytes, `["", "a,b]", "quote \" and \\", "ä"]`, 4 + 8 + 4 + 13 + 2 + 4, `["","a,b]","quote \" and \\","ä"]`},
		{serving.Int32, `[]`, 0, `[]`},
	}
	for _, test := range tests {
		t.Run(string(test.datatype), func(t *testing.T) {
			var text json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(test.text), &text))
			data, err := parseData(test.datatype, text)
			require.NoError(t, err)
			assert.Len(t, data, test.size)
			back, err := appendData(nil, serving.Tensor{Datatype: test.datatype, Data: data})
			require.NoError(t, err)
			assert.Equal(t, test.canonical, string(back))
		})
	}
}

func TestElementsThatAreNone(t *testing.T) {
	tests := []struct {
		datatype   serving.Datatype
		text, want string
	}{
		{serving.Bool, `[true,1]`, `data: element 1 is no BOOL, found 1`},
		{serving.Uint8, `[-1]`, `data: element 0 is no UINT8, found -1`},
		{serving.FP32, `[1,"2"]`, `data: element 1 is no FP32, found "2"`},
		{serving.FP32, `[1e39]`, `data: element 0 is no FP32, found 1e39`},
		{serving.FP64, `[null]`, `data: element 0 is no FP64, found null`},
		{serving.Int32, `[{"a":1}]`, `data: element 0 is no INT32, found {"a":1}`},
		{serving.Bytes, `[1]`, `data: element 0 is no BYTES, found 1`},
		{serving.Bytes, `[null]`, `data: element 0 is no BYTES, found null`},
		{serving.BF16, `[1]`, `data: BF16 has no JSON form, send it as binary data`},
		{serving.Int32, `"12345678901234567890123456789012345"`, `data: an array, found "1234567890123456789012345678901…`},
	}
	for _, test := range tests {
		_, err := parseData(test.datatype, []byte(test.text))
		assert.EqualError(t, err, test.want, test.text)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		_, err := appendFloat(nil, v, 64)
		assert.ErrorContains(t, err, "has no JSON form, ask for binary data")
	}
	_, err := appendData(nil, serving.Tensor{Datatype: serving.FP16, Data: []byte{0, 0}})
	assert.EqualError(t, err, "FP16 has no JSON form, ask for binary data")
}

// FuzzDecode looks for bodies that break the decoder, or that Bind accepts
// although the numbers are not what encoding/json reads.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"in","datatype":"INT32","shape":[1,2],"data":[[1,2]]}]}`), []byte(nil))
	f.Add([]byte(`{"inputs":[{"name":"in","datatype":"INT32","shape":[1,2],"parameters":{"binary_data_size":8}}]}`), []byte("12345678"))
	f.Add([]byte(`{"inputs":[{"name":"in","datatype":"BYTES","shape":[1],"data":["a\"]"]}],"outputs":[{"name":"x"}]}`), []byte(nil))
	f.Add([]byte(`{"parameters":{"timeout":5},"inputs":[{"data":[{}]}]}`), []byte{1})
	signature := serving.Signature{
		Inputs:  []serving.Spec{{Name: "in", Datatype: serving.Int32, Shape: serving.Shape{serving.Any, 2}}},
		Outputs: []serving.Spec{{Name: "out", Datatype: serving.Int32, Shape: serving.Shape{serving.Any, 2}}},
	}
	f.Fuzz(func(t *testing.T, header, raw []byte) {
		r, err := decode(header, raw)
		if err != nil {
			return
		}
		bound, err := signature.Bind(r.tensors)
		if err != nil {
			return
		}
		require.Len(t, bound.Inputs[0].Data, 8*bound.Items)
		text, err := appendData(nil, bound.Inputs[0])
		require.NoError(t, err)
		var back []int32
		require.NoError(t, json.Unmarshal(text, &back))
		require.Len(t, back, 2*bound.Items)
	})
}

func BenchmarkDecodeJSON(b *testing.B) {
	body := []byte(`{"inputs":[{"name":"bytes","datatype":"INT32","shape":[1,2048],"data":[0`)
	for i := range 2047 {
		body = append(body, ',', byte('0'+i%10))
	}
	body = append(body, `]}]}`...)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := decode(body, nil); err != nil {
			b.Fatal(err)
		}
	}
}

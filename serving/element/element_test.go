package element

import (
	"encoding/binary"
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
			data, err := Parse(test.datatype, text)
			require.NoError(t, err)
			assert.Len(t, data, test.size)
			back, err := Append(nil, serving.Tensor{Datatype: test.datatype, Data: data})
			require.NoError(t, err)
			assert.Equal(t, test.canonical, string(back))
		})
	}
}

func TestBytesThatAreNoTextAreNotChangedInSilence(t *testing.T) {
	data := serving.AppendBytes(serving.AppendBytes(nil, []byte("ü")), []byte{0xff, 0, 'b'})
	_, err := Append(nil, serving.Tensor{Datatype: serving.Bytes, Data: data})
	assert.EqualError(t, err, "element 1 of BYTES is no UTF-8 and has no JSON form, ask for binary data")
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
		{serving.Int32, `[01]`, `data: element 0 is no INT32, found 01`},
		{serving.Int32, `[+1]`, `data: element 0 is no INT32, found +1`},
		{serving.Int32, `[1_0]`, `data: element 0 is no INT32, found 1_0`},
		{serving.FP32, `[0x1p-2]`, `data: element 0 is no FP32, found 0x1p-2`},
		{serving.FP32, `[NaN]`, `data: element 0 is no FP32, found NaN`},
		{serving.FP32, `[1.]`, `data: element 0 is no FP32, found 1.`},
		{serving.FP32, `[1e]`, `data: element 0 is no FP32, found 1e`},
		{serving.Int32, `[1 2]`, `data: no JSON array: '2' at byte 3`},
		{serving.Int32, `[1,]`, `data: no JSON array: ']' at byte 3`},
		{serving.Int32, `[,1]`, `data: no JSON array: ',' at byte 1`},
		{serving.Int32, `[[1][2]]`, `data: no JSON array: '[' at byte 4`},
		{serving.Int32, `[1]]`, `data: no JSON array: ']' at byte 3`},
		{serving.Int32, `[1],2`, `data: no JSON array: ',' at byte 3`},
		{serving.Int32, `[[1]`, `data: the array does not end`},
		{serving.BF16, `[1]`, `data: BF16 has no JSON form, send it as binary data`},
		{serving.Int32, `"12345678901234567890123456789012345"`, `data: an array, found "1234567890123456789012345678901…`},
	}
	for _, test := range tests {
		_, err := Parse(test.datatype, []byte(test.text))
		assert.EqualError(t, err, test.want, test.text)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		_, err := appendFloat(nil, v, 64)
		assert.ErrorContains(t, err, "has no JSON form, ask for binary data")
	}
	_, err := Append(nil, serving.Tensor{Datatype: serving.FP16, Data: []byte{0, 0}})
	assert.EqualError(t, err, "FP16 has no JSON form, ask for binary data")
}

// FuzzParse compares the walk with encoding/json: what one takes as an array of
// numbers the other does, too.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`[1,2]`, `[[1],[2]]`, `[-0.5e+3]`, `[01]`, `[1,]`, `[]`, `[[]]`, `["1"]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := Parse(serving.FP64, text)
		var nested []any
		numbers, flat := []float64(nil), json.Unmarshal(text, &nested) == nil
		if flat {
			flat = flatten(nested, &numbers)
		}
		if err != nil {
			require.False(t, flat, "encoding/json reads %s, we say: %v", text, err)
			return
		}
		require.True(t, flat, "encoding/json does not read %s", text)
		require.Len(t, data, 8*len(numbers))
		for i, v := range numbers {
			require.Equal(t, math.Float64bits(v), binary.LittleEndian.Uint64(data[8*i:]))
		}
	})
}

// flatten is false where an element is no number.
func flatten(nested []any, into *[]float64) bool {
	for _, v := range nested {
		switch v := v.(type) {
		case float64:
			*into = append(*into, v)
		case []any:
			if !flatten(v, into) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

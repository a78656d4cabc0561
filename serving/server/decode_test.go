package server

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/element"
)

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
		text, err := element.Append(nil, bound.Inputs[0])
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

package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
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
	f.Add([]byte(`{"inputs":[{"data":[7],"data":[0,1],"Data":[2],"shape":[1,2],"name":"in","datatype":"INT32"},{"data":"]"}]}`), []byte(nil))
	f.Add([]byte(`{"inputs":[{"d\u0061ta":[0],"name":"in"},{"data":[1]}],"INPUTS":[{"data":[3]}]}`), []byte(nil))
	f.Add([]byte(`"\`), []byte(nil))
	f.Add([]byte(`{"parameters":{"timeout":5},"inputs":[{"data":[{}]}]}`), []byte{1})
	signature := serving.Signature{
		Inputs:  []serving.Spec{{Name: "in", Datatype: serving.Int32, Shape: serving.Shape{serving.Any, 2}}},
		Outputs: []serving.Spec{{Name: "out", Datatype: serving.Int32, Shape: serving.Shape{serving.Any, 2}}},
	}
	f.Fuzz(func(t *testing.T, header, raw []byte) {
		r, err := decode(header, raw)
		whole, wholeErr := decodeWhole(header, raw)
		require.Equal(t, wholeErr == nil, err == nil, "%v and %v", wholeErr, err)
		if err != nil {
			return
		}
		require.Equal(t, whole, r, "as encoding/json would read it")
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

// decodeWhole decodes without taking anything out before.
func decodeWhole(header, raw []byte) (*request, error) {
	var j requestJSON
	if err := unmarshal(header, &j); err != nil {
		return nil, err
	}
	return requestOf(j, raw)
}

// jsonRow is a request of one row, as clients write them.
func jsonRow(datatype string, width int, element func() any) []byte {
	body := fmt.Appendf(nil, `{"inputs":[{"name":"x","datatype":%q,"shape":[1,%d],"data":[`, datatype, width)
	for i := range width {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Append(body, element())
	}
	return append(body, `]}]}`...)
}

func BenchmarkDecodeJSON(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	for name, body := range map[string][]byte{
		"bytes":  jsonRow("INT32", 2048, func() any { return random.IntN(257) }),
		"floats": jsonRow("FP32", 512, func() any { return float32(random.NormFloat64()) }),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(body, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

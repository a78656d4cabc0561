package serving_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/serving"
)

func TestWhatAModelGaveIsVerified(t *testing.T) {
	sig := serving.Signature{Outputs: []serving.Spec{
		{Name: "scores", Datatype: serving.FP32, Shape: serving.Shape{-1, 3}},
		{Name: "label", Datatype: serving.Bytes, Shape: serving.Shape{-1}},
	}}
	scores := serving.Tensor{Name: "scores", Datatype: serving.FP32, Shape: serving.Shape{1, 3}, Data: make([]byte, 12)}
	label := serving.Tensor{Name: "label", Datatype: serving.Bytes, Shape: serving.Shape{1}, Data: serving.AppendBytes(nil, []byte("cat"))}
	few, short, long, none, other := scores, label, label, label, scores
	few.Data = few.Data[:4]
	short.Data = []byte{100, 0, 0, 0, 'c', 'a', 't'}
	long.Shape = serving.Shape{2}
	none.Shape, none.Data = serving.Shape{0}, nil
	other.Datatype = "FLOAT"
	tests := []struct {
		name    string
		outputs []serving.Tensor
		want    string
	}{
		{"as declared", []serving.Tensor{scores, label}, ""},
		{"in another order", []serving.Tensor{label, scores}, ""},
		{"an output without elements", []serving.Tensor{scores, none}, ""},
		{"one element for three", []serving.Tensor{few, label}, `output "scores": 3 elements of FP32 are 12 bytes, found 4`},
		{"a length that the bytes do not have", []serving.Tensor{scores, short}, `output "label": element 0 of BYTES is 100 bytes long, found 3`},
		{"fewer strings than the shape says", []serving.Tensor{scores, long}, `output "label": shape asks for 2 elements of BYTES, found 1`},
		{"no datatype of the protocol", []serving.Tensor{other, label}, `output "scores": datatype is FP32, found FLOAT`},
		{"one missing", []serving.Tensor{scores}, `outputs: the model has 2, found 1`},
		{"one twice", []serving.Tensor{scores, scores}, `output "label": missing in the answer`},
	}
	for _, test := range tests {
		err := sig.Verify(test.outputs)
		if test.want == "" {
			assert.NoError(t, err, test.name)
			continue
		}
		assert.EqualError(t, err, test.want, test.name)
	}
}

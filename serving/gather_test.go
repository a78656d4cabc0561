package serving_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/serving"
)

func TestEveryRequestGetsItsOwnRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(0, 3).Draw(t, "width") // elements in a row
		var requests []serving.Bound
		rows := 0
		for r := range rapid.IntRange(1, 6).Draw(t, "requests") {
			n := rapid.IntRange(1, 4).Draw(t, "rows")
			rows += n
			requests = append(requests, serving.Bound{Items: n, Inputs: tagged(t, r, n, width)})
		}
		rows += rapid.IntRange(0, 3).Draw(t, "empty rows")
		batch := serving.Gather(requests, rows)
		require.Equal(t, int64(rows), batch[0].Shape[0])
		parts, err := serving.Scatter(batch, requests, rows)
		require.NoError(t, err)
		for r := range requests {
			for i, want := range requests[r].Inputs {
				got := parts[r][i]
				require.Equal(t, want.Shape, got.Shape)
				require.Equal(t, string(want.Data), string(got.Data), "request %d", r)
			}
		}
	})
}

// tagged makes one tensor of fixed and one of varying element size; the
// contents say whose they are.
func tagged(t *rapid.T, request, rows, width int) []serving.Tensor {
	shape := serving.Shape{int64(rows), int64(width)}
	if width == 0 {
		shape = serving.Shape{int64(rows)}
	}
	n, _ := shape.Elements()
	numbers := serving.Tensor{Name: "n", Datatype: serving.Uint16, Shape: shape}
	texts := serving.Tensor{Name: "s", Datatype: serving.Bytes, Shape: shape}
	for e := range n {
		numbers.Data = append(numbers.Data, byte(request), byte(e))
		padding := rapid.StringN(0, 3, -1).Draw(t, "padding")
		texts.Data = serving.AppendBytes(texts.Data, []byte(fmt.Sprint(request, e, padding)))
	}
	return []serving.Tensor{numbers, texts}
}

func TestScatterRefusesRowsWithoutAnOwner(t *testing.T) {
	output := serving.Tensor{Name: "out", Datatype: serving.Uint8, Shape: serving.Shape{2}, Data: []byte{1, 2}}
	_, err := serving.Scatter([]serving.Tensor{output}, []serving.Bound{{Items: 1}, {Items: 2}}, 3)
	assert.EqualError(t, err, `output "out": batch has 3 rows, found shape [2]`)

	output.Shape = serving.Shape{3}
	_, err = serving.Scatter([]serving.Tensor{output}, []serving.Bound{{Items: 1}, {Items: 2}}, 3)
	assert.EqualError(t, err, `output "out": 3 elements of UINT8 are 3 bytes, found 2`)
}

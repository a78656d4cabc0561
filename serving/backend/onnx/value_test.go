package onnx_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/onnx"
)

// identity writes an ONNX model that gives its input x back as y.
func identity(t *testing.T, elementType uint64) string {
	t.Helper()
	text := func(b []byte, n protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), value)
	}
	number := func(b []byte, n protowire.Number, value uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), value)
	}
	value := func(name string) []byte {
		shape := text(nil, 1, text(nil, 2, []byte("n")))
		tensor := text(number(nil, 1, elementType), 2, shape)
		return text(text(nil, 1, []byte(name)), 2, text(nil, 1, tensor))
	}
	graph := text(nil, 1, text(text(text(nil, 1, []byte("x")), 2, []byte("y")), 4, []byte("Identity")))
	graph = text(text(text(graph, 2, []byte("identity")), 11, value("x")), 12, value("y"))
	path := filepath.Join(t.TempDir(), "identity.onnx")
	require.NoError(t, os.WriteFile(path, text(text(number(nil, 1, 8), 7, graph), 8, number(nil, 2, 13)), 0o600))
	return path
}

func TestBytesComeBackWholeOrAreRefusedByName(t *testing.T) {
	const stringType = 8
	model, err := load(t).Open(onnx.Config{Path: identity(t, stringType)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, model.Close()) })
	input := func(elements ...string) []serving.Tensor {
		x := serving.Tensor{Name: "x", Datatype: serving.Bytes, Shape: serving.Shape{int64(len(elements))}}
		for _, e := range elements {
			x.Data = serving.AppendBytes(x.Data, []byte(e))
		}
		return []serving.Tensor{x}
	}
	in := input("a", "", "\xff\xfe", "ü")
	out, err := model.Run(t.Context(), 0, in)
	require.NoError(t, err)
	assert.Equal(t, in[0].Data, out[0].Data)
	_, err = model.Run(t.Context(), 0, input("a", "\xff\x00b"))
	assert.EqualError(t, err, `input "x": element 1: ONNX Runtime takes no text with a zero byte, found "\xff\x00b"`)
}

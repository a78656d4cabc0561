package main

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/onnx"
	"github.com/sluice-dev/sluice/serving/magika"
)

// model is one that is measured.
type model struct {
	name, path, input string
	datatype          serving.Datatype
	width             int
	batch             int // the largest that pays
	rows              [][]byte
	want              [][]byte // of each row, by the raw runtime
}

func (m *model) tensor(row int) serving.Tensor {
	return serving.Tensor{Name: m.input, Datatype: m.datatype, Shape: serving.Shape{1, int64(m.width)}, Data: m.rows[row%len(m.rows)]}
}

// batchOf joins so many rows.
func (m *model) batchOf(n int) []serving.Tensor {
	var data []byte
	for i := range n {
		data = append(data, m.rows[i%len(m.rows)]...)
	}
	return []serving.Tensor{{Name: m.input, Datatype: m.datatype, Shape: serving.Shape{int64(n), int64(m.width)}, Data: data}}
}

func (o options) load(name string) (*model, *onnx.Model, error) {
	m, err := o.describe(name)
	if err != nil {
		return nil, nil, err
	}
	library, err := onnx.Load(o.library)
	if err != nil {
		return nil, nil, err
	}
	raw, err := library.Open(onnx.Config{Path: m.path})
	return m, raw, err
}

func (o options) describe(name string) (*model, error) {
	switch name {
	case "magika":
		return o.magika()
	case "mlp":
		return mlp(filepath.Join(filepath.Dir(filepath.Clean(o.parts)), "bench"))
	}
	return nil, fmt.Errorf("model: magika or mlp, found %q", name)
}

// magika labels the sources of this repository, row by row: batching does not pay.
func (o options) magika() (*model, error) {
	dir := filepath.Join(o.parts, "magika", "v3-3")
	text, err := os.ReadFile(filepath.Join(dir, "config.min.json"))
	if err != nil {
		return nil, err
	}
	c, err := magika.Parse(text)
	if err != nil {
		return nil, err
	}
	m := &model{name: "magika", path: filepath.Join(dir, "model.onnx"), input: "bytes", datatype: serving.Int32, width: c.Size(), batch: 2}
	err = filepath.WalkDir("serving", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || len(m.rows) >= 64 {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // our own sources
		var row []byte
		for _, v := range c.Features(content) {
			row = binary.LittleEndian.AppendUint32(row, uint32(v))
		}
		m.rows = append(m.rows, row)
		return err
	})
	return m, err
}

// mlp is 512-4096-4096-10 in FP32, of random weights: batching pays.
func mlp(dir string) (*model, error) {
	random := rand.New(rand.NewPCG(1, 1))
	m := &model{name: "mlp", path: filepath.Join(dir, "mlp.onnx"), input: "x", datatype: serving.FP32, width: 512, batch: 32}
	for range 64 {
		m.rows = append(m.rows, floats(random, m.width, 1))
	}
	if _, err := os.Stat(m.path); err == nil {
		return m, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return m, os.WriteFile(m.path, mlpFile(random, []int{512, 4096, 4096, 10}), 0o600)
}

func floats(random *rand.Rand, n int, scale float64) []byte {
	data := make([]byte, 0, 4*n)
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(random.NormFloat64()*scale)))
	}
	return data
}

// Fields of ONNX's messages, by number.
func field(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func varint(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}

// mlpFile writes layers of MatMul and Relu as an ONNX model.
func mlpFile(random *rand.Rand, widths []int) []byte {
	var graph []byte
	last := "x"
	for i := 1; i < len(widths); i++ {
		weight, product, out := fmt.Sprint("w", i), fmt.Sprint("p", i), fmt.Sprint("a", i)
		if i == len(widths)-1 {
			product = "y"
		}
		graph = field(graph, 1, node("MatMul", []string{last, weight}, product))
		if product != "y" {
			graph = field(graph, 1, node("Relu", []string{product}, out))
		}
		last = out
		w := varint(varint(nil, 1, uint64(widths[i-1])), 1, uint64(widths[i])) // dims
		w = field(varint(w, 2, 1), 8, []byte(weight))                          // FLOAT, name
		w = field(w, 9, floats(random, widths[i-1]*widths[i], math.Sqrt(2/float64(widths[i-1]))))
		graph = field(graph, 5, w)
	}
	graph = field(graph, 2, []byte("mlp"))
	graph = field(graph, 11, value("x", widths[0]))
	graph = field(graph, 12, value("y", widths[len(widths)-1]))
	file := varint(nil, 1, 8) // IR version
	file = field(file, 7, graph)
	return field(file, 8, varint(nil, 2, 17)) // opset
}

func node(op string, inputs []string, output string) []byte {
	var b []byte
	for _, in := range inputs {
		b = field(b, 1, []byte(in))
	}
	return field(field(b, 2, []byte(output)), 4, []byte(op))
}

// value is a named FP32 tensor [batch, width].
func value(name string, width int) []byte {
	shape := field(nil, 1, field(nil, 2, []byte("batch")))
	shape = field(shape, 1, varint(nil, 1, uint64(width)))
	tensor := field(varint(nil, 1, 1), 2, shape)
	return field(field(nil, 1, []byte(name)), 2, field(nil, 1, tensor))
}

// Package oippb is the gRPC half of the Open Inference Protocol v2: generated
// messages and stubs, and the way between a message's typed elements and a
// tensor's raw data. `make proto` writes the generated part from inference.proto.
// It serves and calls nobody. Start reading in inference.proto, then at Pack.
package oippb

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/sluice-dev/sluice/serving"
)

// Typed says whether a datatype has typed elements: all but FP16 and BF16 do.
func Typed(d serving.Datatype) bool { return d.Known() && d != serving.FP16 && d != serving.BF16 }

// Pack turns the elements of a datatype into raw data. Elements in a field of
// another datatype, and numbers that the datatype cannot hold, are refused.
func Pack(d serving.Datatype, c *InferTensorContents) ([]byte, error) {
	if !Typed(d) {
		return nil, fmt.Errorf("contents: %s has no typed form, send it in raw_input_contents", d)
	}
	if field, n := c.strange(d); n > 0 {
		return nil, fmt.Errorf("contents: %s is in %s, found %d elements in %s", d, fieldOf(d), n, field)
	}
	switch d {
	case serving.Bool:
		return packBools(c.GetBoolContents()), nil
	case serving.Int8, serving.Int16, serving.Int32:
		limit := int64(1) << (8*d.Size() - 1)
		return packNumbers(d, c.GetIntContents(), func(v int32) (uint64, bool) {
			return uint64(v), int64(v) >= -limit && int64(v) < limit
		})
	case serving.Uint8, serving.Uint16, serving.Uint32:
		return packNumbers(d, c.GetUintContents(), func(v uint32) (uint64, bool) {
			return uint64(v), uint64(v)>>(8*d.Size()) == 0
		})
	case serving.Int64:
		return packNumbers(d, c.GetInt64Contents(), func(v int64) (uint64, bool) { return uint64(v), true })
	case serving.Uint64:
		return packNumbers(d, c.GetUint64Contents(), func(v uint64) (uint64, bool) { return v, true })
	case serving.FP32:
		return packNumbers(d, c.GetFp32Contents(), func(v float32) (uint64, bool) { return uint64(math.Float32bits(v)), true })
	case serving.FP64:
		return packNumbers(d, c.GetFp64Contents(), func(v float64) (uint64, bool) { return math.Float64bits(v), true })
	case serving.Bytes, serving.FP16, serving.BF16:
	}
	var data []byte
	for _, element := range c.GetBytesContents() {
		data = serving.AppendBytes(data, element)
	}
	return data, nil
}

func packBools(values []bool) []byte {
	data := make([]byte, len(values))
	for i, v := range values {
		if v {
			data[i] = 1
		}
	}
	return data
}

// packNumbers writes the low bytes of each number that its datatype can hold.
func packNumbers[T any](d serving.Datatype, values []T, bits func(T) (uint64, bool)) ([]byte, error) {
	size := d.Size()
	data := make([]byte, 0, len(values)*size)
	for i, v := range values {
		b, fits := bits(v)
		if !fits {
			return nil, fmt.Errorf("contents: element %d is no %s, found %v", i, d, v)
		}
		var little [8]byte
		binary.LittleEndian.PutUint64(little[:], b)
		data = append(data, little[:size]...)
	}
	return data, nil
}

// fieldOf names the field of a datatype's elements.
func fieldOf(d serving.Datatype) string {
	switch d {
	case serving.Bool:
		return "bool_contents"
	case serving.Int8, serving.Int16, serving.Int32:
		return "int_contents"
	case serving.Int64:
		return "int64_contents"
	case serving.Uint8, serving.Uint16, serving.Uint32:
		return "uint_contents"
	case serving.Uint64:
		return "uint64_contents"
	case serving.FP32:
		return "fp32_contents"
	case serving.FP64:
		return "fp64_contents"
	case serving.Bytes, serving.FP16, serving.BF16:
	}
	return "bytes_contents"
}

// strange finds elements in a field that is not the datatype's.
func (c *InferTensorContents) strange(d serving.Datatype) (field string, n int) {
	for _, f := range []struct {
		name string
		n    int
	}{
		{"bool_contents", len(c.GetBoolContents())},
		{"int_contents", len(c.GetIntContents())},
		{"int64_contents", len(c.GetInt64Contents())},
		{"uint_contents", len(c.GetUintContents())},
		{"uint64_contents", len(c.GetUint64Contents())},
		{"fp32_contents", len(c.GetFp32Contents())},
		{"fp64_contents", len(c.GetFp64Contents())},
		{"bytes_contents", len(c.GetBytesContents())},
	} {
		if f.n > 0 && f.name != fieldOf(d) {
			return f.name, f.n
		}
	}
	return "", 0
}

// Unpack turns raw data, whose length must be right, into typed elements.
func Unpack(d serving.Datatype, data []byte) (*InferTensorContents, error) {
	if !Typed(d) {
		return nil, fmt.Errorf("%s has no typed form", d)
	}
	c := &InferTensorContents{}
	size := d.Size()
	switch d {
	case serving.Bool:
		c.BoolContents = numbers(data, size, func(v uint64) bool { return v != 0 })
	case serving.Int8:
		c.IntContents = numbers(data, size, func(v uint64) int32 { return int32(int8(v)) })
	case serving.Int16:
		c.IntContents = numbers(data, size, func(v uint64) int32 { return int32(int16(v)) })
	case serving.Int32:
		c.IntContents = numbers(data, size, func(v uint64) int32 { return int32(v) })
	case serving.Int64:
		c.Int64Contents = numbers(data, size, func(v uint64) int64 { return int64(v) })
	case serving.Uint8, serving.Uint16, serving.Uint32:
		c.UintContents = numbers(data, size, func(v uint64) uint32 { return uint32(v) })
	case serving.Uint64:
		c.Uint64Contents = numbers(data, size, func(v uint64) uint64 { return v })
	case serving.FP32:
		c.Fp32Contents = numbers(data, size, func(v uint64) float32 { return math.Float32frombits(uint32(v)) })
	case serving.FP64:
		c.Fp64Contents = numbers(data, size, math.Float64frombits)
	case serving.Bytes:
		c.BytesContents = serving.SplitBytes(data)
	case serving.FP16, serving.BF16:
	}
	return c, nil
}

// numbers reads elements of size bytes.
func numbers[T any](data []byte, size int, of func(uint64) T) []T {
	values := make([]T, 0, len(data)/size)
	for ; len(data) >= size; data = data[size:] {
		var little [8]byte
		copy(little[:], data[:size])
		values = append(values, of(binary.LittleEndian.Uint64(little[:])))
	}
	return values
}

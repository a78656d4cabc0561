// Package element is the JSON form of a tensor's elements: a text of numbers,
// booleans or strings to raw data and back, without an array in between. It knows
// no message around them. Start reading at Parse.
package element

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/sluice-dev/sluice/serving"
)

// Parse turns a JSON array, nested or flat, into a tensor's raw form, without
// building the array in between. Space round the array is an error.
func Parse(d serving.Datatype, text []byte) ([]byte, error) {
	if len(text) == 0 || text[0] != '[' {
		return nil, fmt.Errorf("data: an array, found %s", short(text))
	}
	parse := parser(d)
	if parse == nil {
		return nil, fmt.Errorf("data: %s has no JSON form, send it as binary data", d)
	}
	out := make([]byte, 0, (bytes.Count(text, []byte{','})+1)*max(d.Size(), 1)) // strings may need more
	w := walk{text: text}
	for element := 0; ; element++ {
		switch more, err := w.toElement(); {
		case err != nil:
			return nil, fmt.Errorf("data: %w", err)
		case !more:
			return out, nil
		}
		end := elementEnd(text, w.at)
		var err error
		if out, err = parse(out, text[w.at:end]); err != nil {
			return nil, fmt.Errorf("data: element %d is no %s, found %s", element, d, short(text[w.at:end]))
		}
		w.at, w.after = end, 'e'
	}
}

func short(text []byte) string {
	if len(text) > 32 {
		return string(text[:32]) + "…"
	}
	return string(text)
}

func punctuation(c byte) bool {
	switch c {
	case '[', ']', ',', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

// elementEnd is where the element that starts at i ends. An object ends at its
// first punctuation and is then no element of any datatype.
func elementEnd(text []byte, i int) int {
	quoted := text[i] == '"'
	for i++; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case quoted && text[i] == '"':
			return i + 1
		case !quoted && punctuation(text[i]):
			return i
		}
	}
	return min(i, len(text)) // a backslash at the end
}

// parser appends one element in raw form. It is nil where JSON has no form.
func parser(d serving.Datatype) func(out, text []byte) ([]byte, error) {
	bits := 8 * d.Size()
	switch d {
	case serving.Bool:
		return parseBool
	case serving.Int8, serving.Int16, serving.Int32, serving.Int64:
		return func(out, text []byte) ([]byte, error) {
			if !number(text) {
				return out, strconv.ErrSyntax
			}
			v, err := strconv.ParseInt(string(text), 10, bits)
			return appendBits(out, uint64(v), bits), err
		}
	case serving.Uint8, serving.Uint16, serving.Uint32, serving.Uint64:
		return func(out, text []byte) ([]byte, error) {
			if !number(text) {
				return out, strconv.ErrSyntax
			}
			v, err := strconv.ParseUint(string(text), 10, bits)
			return appendBits(out, v, bits), err
		}
	case serving.FP32:
		return func(out, text []byte) ([]byte, error) {
			if !number(text) {
				return out, strconv.ErrSyntax
			}
			v, err := strconv.ParseFloat(string(text), 32)
			return binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v))), err
		}
	case serving.FP64:
		return func(out, text []byte) ([]byte, error) {
			if !number(text) {
				return out, strconv.ErrSyntax
			}
			v, err := strconv.ParseFloat(string(text), 64)
			return binary.LittleEndian.AppendUint64(out, math.Float64bits(v)), err
		}
	case serving.Bytes:
		return parseString
	case serving.FP16, serving.BF16:
	}
	return nil
}

func parseBool(out, text []byte) ([]byte, error) {
	switch string(text) {
	case "true":
		return append(out, 1), nil
	case "false":
		return append(out, 0), nil
	}
	return out, strconv.ErrSyntax
}

func parseString(out, text []byte) ([]byte, error) {
	if text[0] != '"' {
		return out, strconv.ErrSyntax
	}
	var s string
	err := json.Unmarshal(text, &s)
	return serving.AppendBytes(out, []byte(s)), err
}

func appendBits(out []byte, v uint64, bits int) []byte {
	switch bits {
	case 8:
		return append(out, byte(v))
	case 16:
		return binary.LittleEndian.AppendUint16(out, uint16(v))
	case 32:
		return binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(out, v)
}

// Append writes a tensor's elements as a flat JSON array.
func Append(out []byte, t serving.Tensor) ([]byte, error) {
	out = append(out, '[')
	if t.Datatype == serving.Bytes {
		return appendStrings(out, t.Data)
	}
	write := writer(t.Datatype)
	if write == nil {
		return nil, fmt.Errorf("%s has no JSON form, ask for binary data", t.Datatype)
	}
	size := t.Datatype.Size()
	for i := 0; i+size <= len(t.Data); i += size {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = write(out, t.Data[i:i+size]); err != nil {
			return nil, fmt.Errorf("element %d: %w", i/size, err)
		}
	}
	return append(out, ']'), nil
}

func appendStrings(out, data []byte) ([]byte, error) {
	for i, element := range serving.SplitBytes(data) {
		if i > 0 {
			out = append(out, ',')
		}
		if !utf8.Valid(element) { // json would change it without a word
			return nil, fmt.Errorf("element %d of BYTES is no UTF-8 and has no JSON form, ask for binary data", i)
		}
		text, err := json.Marshal(string(element))
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
	}
	return append(out, ']'), nil
}

// writer appends one raw element as JSON. It is nil where JSON has no form.
func writer(d serving.Datatype) func(out, raw []byte) ([]byte, error) {
	switch d {
	case serving.Bool:
		return func(out, raw []byte) ([]byte, error) { return strconv.AppendBool(out, raw[0] != 0), nil }
	case serving.Int8, serving.Int16, serving.Int32, serving.Int64:
		return func(out, raw []byte) ([]byte, error) { return strconv.AppendInt(out, signed(raw), 10), nil }
	case serving.Uint8, serving.Uint16, serving.Uint32, serving.Uint64:
		return func(out, raw []byte) ([]byte, error) { return strconv.AppendUint(out, unsigned(raw), 10), nil }
	case serving.FP32:
		return func(out, raw []byte) ([]byte, error) {
			return appendFloat(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), 32)
		}
	case serving.FP64:
		return func(out, raw []byte) ([]byte, error) {
			return appendFloat(out, math.Float64frombits(binary.LittleEndian.Uint64(raw)), 64)
		}
	case serving.FP16, serving.BF16, serving.Bytes:
	}
	return nil
}

func unsigned(raw []byte) uint64 {
	var v uint64
	for _, b := range slices.Backward(raw) {
		v = v<<8 | uint64(b)
	}
	return v
}

func signed(raw []byte) int64 {
	shift := 64 - 8*len(raw)
	return int64(unsigned(raw)<<shift) >> shift
}

func appendFloat(out []byte, v float64, bits int) ([]byte, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return out, fmt.Errorf("%v has no JSON form, ask for binary data", v)
	}
	return strconv.AppendFloat(out, v, 'g', -1, bits), nil
}

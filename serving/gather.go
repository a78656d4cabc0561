package serving

import (
	"encoding/binary"
	"fmt"
)

// Gather joins the inputs of a batch's requests along the first dimension, in
// order, and fills up with rows of zeroes to the given number, if that is more.
// All must be Bound by one signature, with one key. A request that is all there
// is shares its memory.
func Gather(requests []Bound, rows int) []Tensor {
	first := requests[0]
	if len(requests) == 1 && first.Items >= rows {
		return first.Inputs
	}
	joined := make([]Tensor, len(first.Inputs))
	for i := range joined {
		joined[i] = join(requests, i, rows)
	}
	return joined
}

func join(requests []Bound, i, rows int) Tensor {
	size, items := 0, 0
	for _, r := range requests {
		size += len(r.Inputs[i].Data)
		items += r.Items
	}
	first := requests[0].Inputs[i]
	empty := 0
	if rows > items {
		empty = (rows - items) * first.emptyRow()
	}
	data := make([]byte, 0, size+empty)
	for _, r := range requests {
		data = append(data, r.Inputs[i].Data...)
	}
	data = data[:size+empty] // zeroes
	shape := append(Shape{int64(max(rows, items))}, first.Shape[1:]...)
	return Tensor{Name: first.Name, Datatype: first.Datatype, Shape: shape, Data: data}
}

// emptyRow is the length of a row of zeroes, which are empty elements of BYTES.
func (t Tensor) emptyRow() int {
	n, _ := t.Shape[1:].Elements() // was checked
	if t.Datatype == Bytes {
		return int(n) * frame
	}
	return int(n) * t.Datatype.Size()
}

// Scatter takes a batch's outputs apart: each request gets as many rows as it
// has items, in order; rows that filled the batch up are left. It refuses
// outputs that do not have exactly the batch's rows, for then no row's owner is
// known. The parts share the outputs' memory.
func Scatter(outputs []Tensor, requests []Bound, rows int) ([][]Tensor, error) {
	parts := make([][]Tensor, len(requests))
	if len(requests) == 1 && requests[0].Items >= rows {
		parts[0] = outputs
		return parts, nil
	}
	for i := range parts {
		parts[i] = make([]Tensor, len(outputs))
	}
	for o, t := range outputs {
		if err := cut(t, requests, rows, func(i int, part Tensor) { parts[i][o] = part }); err != nil {
			return nil, fmt.Errorf("output %q: %w", t.Name, err)
		}
	}
	return parts, nil
}

// cut hands out consecutive rows of t.
func cut(t Tensor, requests []Bound, rows int, give func(int, Tensor)) error {
	if len(t.Shape) == 0 || t.Shape[0] != int64(rows) {
		return fmt.Errorf("batch has %d rows, found shape %v", rows, t.Shape)
	}
	perRow, ok := t.Shape[1:].Elements()
	if !ok {
		return fmt.Errorf("shape %v has no countable elements", t.Shape)
	}
	if err := t.checkData(); err != nil {
		return err
	}
	rest := t.Data
	for i, r := range requests {
		size := t.sizeOf(rest, int64(r.Items)*perRow)
		shape := append(Shape{int64(r.Items)}, t.Shape[1:]...)
		give(i, Tensor{Name: t.Name, Datatype: t.Datatype, Shape: shape, Data: rest[:size:size]})
		rest = rest[size:]
	}
	return nil
}

// sizeOf is the length of the first n elements of data, which were checked.
func (t Tensor) sizeOf(data []byte, n int64) int {
	if t.Datatype != Bytes {
		return int(n) * t.Datatype.Size()
	}
	size := 0
	for range n {
		size += frame + int(binary.LittleEndian.Uint32(data[size:]))
	}
	return size
}

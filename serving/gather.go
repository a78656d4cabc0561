package serving

import (
	"encoding/binary"
	"fmt"
)

// Gather joins the inputs of a batch's requests along the first dimension, in
// order. All must be Bound by one signature, with one key. A batch of one
// shares its request's memory.
func Gather(requests [][]Tensor) []Tensor {
	if len(requests) == 1 {
		return requests[0]
	}
	joined := make([]Tensor, len(requests[0]))
	for i := range joined {
		joined[i] = join(requests, i)
	}
	return joined
}

func join(requests [][]Tensor, i int) Tensor {
	size, rows := 0, int64(0)
	for _, r := range requests {
		size += len(r[i].Data)
		rows += r[i].Shape[0]
	}
	first := requests[0][i]
	data := make([]byte, 0, size)
	for _, r := range requests {
		data = append(data, r[i].Data...)
	}
	shape := append(Shape{rows}, first.Shape[1:]...)
	return Tensor{Name: first.Name, Datatype: first.Datatype, Shape: shape, Data: data}
}

// Scatter takes a batch's outputs apart: items[i] rows go to request i. It
// refuses outputs that do not have exactly that many rows, for then no row's
// owner is known. The parts share the outputs' memory.
func Scatter(outputs []Tensor, items []int) ([][]Tensor, error) {
	parts := make([][]Tensor, len(items))
	if len(items) == 1 {
		parts[0] = outputs
		return parts, nil
	}
	for i := range parts {
		parts[i] = make([]Tensor, len(outputs))
	}
	for o, t := range outputs {
		if err := cut(t, items, func(i int, part Tensor) { parts[i][o] = part }); err != nil {
			return nil, fmt.Errorf("output %q: %w", t.Name, err)
		}
	}
	return parts, nil
}

// cut hands out consecutive rows of t.
func cut(t Tensor, items []int, give func(int, Tensor)) error {
	total := 0
	for _, n := range items {
		total += n
	}
	if len(t.Shape) == 0 || t.Shape[0] != int64(total) {
		return fmt.Errorf("batch has %d rows, found shape %v", total, t.Shape)
	}
	perRow, ok := t.Shape[1:].Elements()
	if !ok {
		return fmt.Errorf("shape %v has no countable elements", t.Shape)
	}
	if err := t.checkData(); err != nil {
		return err
	}
	rest := t.Data
	for i, n := range items {
		size := t.sizeOf(rest, int64(n)*perRow)
		shape := append(Shape{int64(n)}, t.Shape[1:]...)
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

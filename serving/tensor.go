package serving

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Tensor is a named array. Data holds the elements in row-major order,
// little-endian, without padding: the protocol's raw form. A Tensor is not
// changed after it was handed over.
type Tensor struct {
	Name     string
	Datatype Datatype
	Shape    Shape
	Data     []byte
}

// Shape is a list of dimensions. In a Spec, Any matches every size.
type Shape []int64

// Any is a dimension that requests choose.
const Any = -1

// Elements is the product of the dimensions. It is not ok where a dimension is
// negative or the product overflows.
func (s Shape) Elements() (n int64, ok bool) {
	n = 1
	for _, d := range s {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// String writes the shape as "[-1,2048]".
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(d, 10))
	}
	b.WriteByte(']')
	return b.String()
}

// matches says whether a request's shape fits s.
func (s Shape) matches(got Shape) bool {
	if len(s) != len(got) {
		return false
	}
	for i, d := range s {
		if d != Any && d != got[i] {
			return false
		}
	}
	return true
}

// checkData compares the length of the data with what the shape asks for.
func (t Tensor) checkData() error {
	n, ok := t.Shape.Elements()
	if !ok {
		return fmt.Errorf("shape %v has no countable elements", t.Shape)
	}
	if n == 0 {
		return fmt.Errorf("shape %v has no elements", t.Shape)
	}
	if t.Datatype == Bytes {
		return checkFrames(t.Data, n)
	}
	size := int64(t.Datatype.Size())
	if n > math.MaxInt64/size || int64(len(t.Data)) != n*size {
		return fmt.Errorf("%d elements of %s are %s bytes, found %d",
			n, t.Datatype, product(n, size), len(t.Data))
	}
	return nil
}

func product(a, b int64) string {
	if a > math.MaxInt64/b {
		return "too many"
	}
	return strconv.FormatInt(a*b, 10)
}

// frame is the length in front of each BYTES element.
const frame = 4

// checkFrames counts length-prefixed elements.
func checkFrames(data []byte, want int64) error {
	var found int64
	for rest := data; len(rest) > 0; found++ {
		if len(rest) < frame {
			return fmt.Errorf("element %d of BYTES has %d of the %d bytes of its length", found, len(rest), frame)
		}
		n := int64(binary.LittleEndian.Uint32(rest))
		if n > int64(len(rest)-frame) {
			return fmt.Errorf("element %d of BYTES is %d bytes long, found %d", found, n, len(rest)-frame)
		}
		rest = rest[frame+n:]
	}
	if found != want {
		return fmt.Errorf("shape asks for %d elements of BYTES, found %d", want, found)
	}
	return nil
}

// AppendBytes appends one BYTES element in the raw form.
func AppendBytes(data, element []byte) []byte {
	data = binary.LittleEndian.AppendUint32(data, uint32(len(element)))
	return append(data, element...)
}

// SplitBytes gives the elements of a BYTES tensor's data, which must have
// passed a Signature's check. The elements share memory with data.
func SplitBytes(data []byte) [][]byte {
	var out [][]byte
	for len(data) >= frame {
		n := int(binary.LittleEndian.Uint32(data))
		out = append(out, data[frame:frame+n])
		data = data[frame+n:]
	}
	return out
}

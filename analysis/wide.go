package analysis

import "math/bits"

// wide is a sum of 128 bits, in two's complement: sums of squares in fixed point
// are the same in any order, and do not overflow.
type wide struct {
	High int64  `json:"high"`
	Low  uint64 `json:"low"`
}

func (w wide) plus(o wide) wide {
	low, carry := bits.Add64(w.Low, o.Low, 0)
	return wide{High: w.High + o.High + int64(carry), Low: low}
}

func wideOf(n int64) wide { return wide{High: n >> 63, Low: uint64(n)} }

func squareOf(n int64) wide {
	if n < 0 {
		n = -n
	}
	high, low := bits.Mul64(uint64(n), uint64(n))
	return wide{High: int64(high), Low: low}
}

func (w wide) float() float64 {
	if w.High < 0 { // near 0 from below, High and Low would cancel
		low, borrow := bits.Sub64(0, w.Low, 0)
		return -wide{High: -w.High - int64(borrow), Low: low}.float()
	}
	const twoTo64 = 1 << 64
	return float64(float64(w.High)*twoTo64) + float64(w.Low)
}

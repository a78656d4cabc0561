package analysis

import "math"

// nats is evidence in billionths of a nat: fixed point, so that sums are the
// same in any order, and saved evidence is the same on any machine.
type nats int64

// perNat is how many nats make one nat.
const perNat = 1_000_000_000

// natsLimit keeps sums of evidence far from overflow; e^-natsLimit is nothing.
const natsLimit = 1_000_000 * perNat

// fixed rounds evidence to fixed point.
func fixed(x float64) nats {
	return nats(math.Round(max(-natsLimit, min(natsLimit, x*perNat))))
}

func (n nats) float() float64 { return float64(n) / perNat }

func (n nats) plus(o nats) nats { return max(-natsLimit, min(natsLimit, n+o)) }

// The functions below use nothing but IEEE operations, each rounded on its own
// (a conversion forbids a fused multiply-add). The standard library's differ
// between architectures in the last bit, and so would saved evidence.

const (
	ln2High = 6.93147180369123816490e-01 // its low bits are zero: small multiples are exact
	ln2Low  = 1.90821492927058770002e-10
)

// ln is the natural logarithm of x > 0, by 2 atanh((m-1)/(m+1)) for x = m·2^k,
// to 2e-15.
func ln(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	s := (m - 1) / (m + 1)
	square := s * s
	sum := 1. / 17
	for _, c := range [...]float64{1. / 15, 1. / 13, 1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3, 1} {
		sum = float64(sum*square) + c
	}
	exponent := float64(k)
	return float64(exponent*ln2High) + (float64(exponent*ln2Low) + float64(2*s*sum))
}

// expo is e^x to a part in 1e14, by its series on [-ln2/2, ln2/2] and a power of two.
func expo(x float64) float64 {
	switch {
	case x < -700:
		return 0 // and not a subnormal number
	case x > 709:
		return math.Inf(1)
	}
	k := math.Round(x / math.Ln2)
	r := (x - float64(k*ln2High)) - float64(k*ln2Low)
	sum := 1. / 39916800
	for _, c := range [...]float64{1. / 3628800, 1. / 362880, 1. / 40320, 1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1, 1} {
		sum = float64(sum*r) + c
	}
	return float64(sum * math.Float64frombits(uint64(1023+int64(k))<<52)) // 2^k
}

// logSumExp is log(Σ e^x); it is -Inf for no terms.
func logSumExp(xs ...float64) float64 {
	top := math.Inf(-1)
	for _, x := range xs {
		top = max(top, x)
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, x := range xs {
		sum += expo(x - top)
	}
	return top + ln(sum)
}

package analysis

import "math"

// differenceBounds is a confidence sequence for the chance of b less that of a, of
// independent events: it holds at every look together, with an error of alpha, and is
// narrowest about the planned number of trials of each. A difference is excluded where
// all pairs of chances with it are: the product of both arms' mixtures, which is one of
// their joint chances, is at least 1/alpha. That takes less than two bounds which share
// the error. source: as rateBounds.
func differenceBounds(a, b rate, alpha, planned float64) (low, high float64) {
	if a.N == 0 && b.N == 0 {
		return -1, 1
	}
	at := b.share() - a.share()
	least := leastEvidence(a, b, at, planned)
	needed := math.Sqrt(-ln(alpha) - least)
	// Near to what was seen evidence grows as a square, so its root as a line.
	beyond := func(d float64) float64 { return math.Sqrt(max(0, leastEvidence(a, b, d, planned)-least)) - needed }
	return lastBeyond(4*rateEdge-1, at, beyond), lastBeyond(1-4*rateEdge, at, beyond)
}

// leastEvidence is that against the likeliest chances that differ by d: between those
// seen, the one arm's evidence falls as the other's rises. By golden sections; what they
// miss is of the second order.
func leastEvidence(a, b rate, d, planned float64) float64 {
	inside := func(p float64) float64 { return min(max(p, rateEdge, rateEdge-d), 1-rateEdge, 1-rateEdge-d) }
	low, high := inside(min(a.share(), b.share()-d)), inside(max(a.share(), b.share()-d))
	both := func(p float64) float64 { return a.against(p, planned) + b.against(p+d, planned) }
	left, right := high-golden*(high-low), low+golden*(high-low)
	ofLeft, ofRight := both(left), both(right)
	for range 14 {
		if ofLeft <= ofRight {
			high, right, ofRight = right, left, ofLeft
			left = high - golden*(high-low)
			ofLeft = both(left)
		} else {
			low, left, ofLeft = left, right, ofRight
			right = low + golden*(high-low)
			ofRight = both(right)
		}
	}
	return min(ofLeft, ofRight, both(low), both(high))
}

// golden is the ratio of the sections.
const golden = 0.6180339887498949

// lastBeyond is the last point on the way from out to in at which beyond is not below
// 0, to six digits, or the end of the scale if there is none. By false position, of which
// the end that stays is halved (Illinois).
func lastBeyond(out, in float64, beyond func(float64) float64) float64 {
	ofOut, ofIn := beyond(out), beyond(in)
	if ofOut < 0 {
		return math.Round(out)
	}
	for range 40 {
		if math.Abs(out-in) < 1e-6 || ofIn >= 0 {
			break
		}
		mid := in + float64((out-in)*(ofIn/(ofIn-ofOut)))
		if of := beyond(mid); of >= 0 {
			out, ofOut, ofIn = mid, of, ofIn/2
		} else {
			in, ofIn, ofOut = mid, of, ofOut/2
		}
	}
	return out
}

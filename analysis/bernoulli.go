package analysis

import "math"

// rateBounds is a confidence sequence for the chance of independent events with
// equal chance: it holds at every look together, with an error of alpha. It is
// narrowest about the planned number of trials. source: Howard, Ramdas, McAuliffe
// and Sekhon 2021, beta-binomial mixture.
func rateBounds(r rate, alpha, planned float64) (low, high float64) {
	excluded := func(p float64) bool { return r.against(p, planned) >= -ln(alpha) }
	return turn(rateEdge, r.share(), excluded), turn(1-rateEdge, r.share(), excluded)
}

// rateEdge is how near to 0 and 1 chances are looked at.
const rateEdge = 1e-9

// share is half where there is none.
func (r rate) share() float64 {
	if r.N == 0 {
		return .5
	}
	return float64(r.Bad) / float64(r.N)
}

// against is the evidence against a chance, the log of a mixture.
func (r rate) against(p, planned float64) float64 {
	if r.N == 0 {
		return 0
	}
	n := float64(r.N)
	return betaBinomial(float64(r.Bad)-float64(n*p), float64(p*(1-p))*n, planned*float64(p*(1-p)), p, 1-p)
}

// usualTrials is what bounds that nobody planned for are narrowest at.
const usualTrials = 1000

// Bounds hold the estimated rate at every look together, with an error of alpha, as far
// as its events are independent.
func (e Estimate) Bounds(alpha float64) (low, high float64) {
	return rateBounds(rate{N: e.N, Bad: e.Count}, alpha, usualTrials)
}

// turn is the last excluded point on the way from out to in, or the end of the scale if
// none is.
func turn(out, in float64, excluded func(float64) bool) float64 {
	if !excluded(out) {
		return math.Round(out)
	}
	for range 60 {
		if mid := (out + in) / 2; excluded(mid) {
			out = mid
		} else {
			in = mid
		}
	}
	return out
}

// betaBinomial is the log of a two-sided mixture supermartingale of a sum s with
// variance process v, of steps from -g to h, tuned for vOpt.
func betaBinomial(s, v, vOpt, g, h float64) float64 {
	const alphaOpt = 0.05
	gh := g * h
	r := max(bestRho(vOpt, alphaOpt)-gh, 1e-3*gh)
	sum := float64(v/gh*ln(g+h)) - float64((v+float64(h*s))/(h*(g+h))*ln(g)) - float64((v-float64(g*s))/(g*(g+h))*ln(h))
	a, b := (r+v-float64(g*s))/(g*(g+h)), (r+v+float64(h*s))/(h*(g+h))
	return sum + lnBeta(a, b) - lnBeta(r/(g*(g+h)), r/(h*(g+h)))
}

// bestRho tunes a normal mixture to be narrowest at intrinsic time v.
func bestRho(v, alpha float64) float64 {
	l := -2 * ln(alpha)
	return v / (l + math.Log1p(l))
}

// normalBound is what a sum of variance v never exceeds, but with a chance of alpha:
// the two-sided normal mixture. source: Howard, Ramdas, McAuliffe and Sekhon 2021.
func normalBound(v, alpha, rho float64) float64 {
	return math.Sqrt((v + rho) * (math.Log1p(v/rho) - 2*ln(alpha)))
}

func lnBeta(a, b float64) float64 { return lnGamma(a) + lnGamma(b) - lnGamma(a+b) }

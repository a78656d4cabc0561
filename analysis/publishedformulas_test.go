package analysis

import "math"

// twoSidedNormal is the log of the two-sided mixture that normalBound is the edge of.
func twoSidedNormal(s, v, rho float64) float64 {
	return math.Log(rho/(v+rho))/2 + s*s/(2*(v+rho))
}

// oneSidedNormal is one side of it: the half of the prior on it, counted twice.
func oneSidedNormal(s, v, rho float64) float64 {
	return twoSidedNormal(s, v, rho) + math.Log(math.Erfc(-s/math.Sqrt(2*(v+rho))))
}

// oneSidedBetaBinomial is the side of betaBinomial's mixture whose mean is above zero.
func oneSidedBetaBinomial(s, v, vOpt, g, h float64) float64 {
	const twiceAlpha = 0.1
	gh := g * h
	r := max(bestRho(vOpt, twiceAlpha)-gh, 1e-3*gh)
	sum := v/gh*math.Log(g+h) - (v+h*s)/(h*(g+h))*math.Log(g) - (v-g*s)/(g*(g+h))*math.Log(h)
	side := h / (g + h)
	return sum + lnBetaTo(side, (r+v-g*s)/(g*(g+h)), (r+v+h*s)/(h*(g+h))) - lnBetaTo(side, r/(g*(g+h)), r/(h*(g+h)))
}

// lnBetaTo is the log of the incomplete beta integral up to x, by Simpson's rule; a and b
// are above 1.
func lnBetaTo(x, a, b float64) float64 {
	density := func(p float64) float64 { return (a-1)*math.Log(p) + (b-1)*math.Log1p(-p) }
	top := density(min(x, (a-1)/(a+b-2)))
	return top + math.Log(simpson(0, x, 20_000, func(p float64) float64 { return math.Exp(density(p) - top) }))
}

// simpson integrates over an even number of steps. f need not be finite at the ends.
func simpson(from, to float64, steps int, f func(float64) float64) float64 {
	width := (to - from) / float64(steps)
	sum := 0.0
	for i := range steps + 1 {
		if y := f(from + float64(i)*width); !math.IsNaN(y) {
			sum += y * simpsonWeight(i, steps)
		}
	}
	return sum * width / 3
}

func simpsonWeight(i, steps int) float64 {
	switch {
	case i == 0 || i == steps:
		return 1
	case i%2 == 1:
		return 4
	}
	return 2
}

// pQuantiles is the p-value of the samples 1 to 1000 and those moved having the same
// quantile: no value can be that of both. source: Howard and Ramdas 2022.
func pQuantiles(p float64, moved int) float64 {
	least := math.Inf(1)
	for x := -2000; x <= 3000; x++ {
		least = min(least, atQuantile(p, x)+atQuantile(p, x-moved))
	}
	return min(1, math.Exp(-least))
}

// atQuantile is the evidence against x being a quantile of 1 to 1000: of the samples,
// those below x and, at most, x itself are below it.
func atQuantile(p float64, x int) float64 {
	const n = 1000
	evidence := func(below float64) float64 {
		return betaBinomial(below-p*n, p*(1-p)*n, 100*p*(1-p), p, 1-p)
	}
	strictly, atMost := float64(min(max(x-1, 0), n)), float64(min(max(x, 0), n))
	return evidence(min(max(p*n, strictly), atMost))
}

// empiricalBound is how far an empirical distribution may be off at every t from the
// first on. source: Howard and Ramdas 2022, theorem 2.
func empiricalBound(t, alpha, first, a float64) float64 {
	wide := func(c float64) bool { return empiricalError(c, a) <= alpha }
	c := turn(50, 1, wide)
	return a * math.Sqrt((math.Log(1+math.Log(t/first))+c)/t)
}

// empiricalError is that bound's error: the least over the epochs' ratios.
func empiricalError(c, a float64) float64 {
	least := 1.0
	for i := 1; i < 4000; i++ {
		eta := 1 + (2*a*a-1)*float64(i)/4000
		root := a - math.Sqrt(2*(eta-1)/c)
		if square := 2 / eta * root * root; root > 0 && square > 1 {
			least = min(least, 4*math.Exp(-square*c)*(1+1/((square-1)*math.Log(eta))))
		}
	}
	return least
}

// stitchedBound is that of how many of t samples are below a quantile above the median, at
// all quantiles and at all t. source: Howard and Ramdas 2022, theorem 3.
func stitchedBound(p, t, alpha, first float64) float64 {
	const delta, s, eta = 0.5, 1.4, 2
	const zeta = 3.1055472779775815 // of s
	levels := math.Sqrt(t/first)*math.Abs(math.Log(p/(1-p)))/(2*delta) + 1
	l := s*math.Log(math.Log(eta*t/first)) + s*math.Log(levels) + math.Log(2*zeta*(2*zeta+1)/(alpha*math.Pow(math.Log(eta), s)))
	k1, k2 := (math.Pow(eta, .25)+math.Pow(eta, -.25))/math.Sqrt2, (math.Sqrt(eta)+1)/2
	skew := k2 * (1 - 2*p) / 3 * l
	return delta*math.Sqrt(eta*t*p*(1-p)/first) + math.Sqrt(k1*k1*p*(1-p)*t*l+skew*skew) + skew
}

// errorOfLooks is the chance that a standard normal walk is ever beyond a bound, in
// standard deviations, at one of some looks. source: Armitage, McPherson and Rowe 1969.
func errorOfLooks(looks int, bound func(look int) float64) float64 {
	const steps = 200
	density := []float64{1}
	within, width := 0.0, 0.0
	for look := 1; look <= looks; look++ {
		edge := bound(look) * math.Sqrt(float64(look))
		next := make([]float64, steps+1)
		for i := range next {
			next[i] = stepped(density, within, width, -edge+2*edge*float64(i)/steps)
		}
		density, within, width = next, edge, 2*edge/steps
	}
	stayed := 0.0
	for i, d := range density {
		stayed += d * simpsonWeight(i, steps) * width / 3
	}
	return 1 - stayed
}

// stepped is the density at x after one more step from where a walk within bounds was.
func stepped(density []float64, within, width, x float64) float64 {
	normal := func(z float64) float64 { return math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) }
	if len(density) == 1 {
		return normal(x)
	}
	sum := 0.0
	for i, d := range density {
		sum += d * simpsonWeight(i, len(density)-1) * normal(x+within-float64(i)*width)
	}
	return sum * width / 3
}

func equalBounds(most float64, _, _ int) float64 { return most }

func fallingBounds(most float64, look, looks int) float64 {
	return most * math.Sqrt(float64(looks)/float64(look))
}

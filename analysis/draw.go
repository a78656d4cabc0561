package analysis

// mostChoices bounds what one stratum costs: 32 KB and about a millisecond, whatever it
// counts. A counter of a user's own may grow by any number between two readings.
const mostChoices = 4096

// choices is how many numbers of errors the candidate may have had, given the requests
// and the errors of both together.
func (s stratum) choices() int64 {
	nc, nb := s.candidate.requests, s.stable.requests
	m := s.candidate.errors + s.stable.errors
	return min(nc, m) - max(0, m-nb) + 1
}

// sampled is s, or where it has more than mostChoices a whole part of all its counts. The
// mean of k samples varies no more than one of them does, so a k-th of the counts is worth
// no more than a sample of that size (Jensen), whose test is valid. What does not divide
// goes against the finding: errors are rounded up, and requests down, for the arm that it
// would call the better one, and the other way for the other.
func (s stratum) sampled(better side) stratum {
	k := (s.choices() + mostChoices - 3) / (mostChoices - 1) // rounded up
	if k <= 1 {
		return s
	}
	if better == ofStable {
		s.stable, s.candidate = s.stable.worsePart(k), s.candidate.betterPart(k)
	} else {
		s.stable, s.candidate = s.stable.betterPart(k), s.candidate.worsePart(k)
	}
	return s
}

func (s sums) worsePart(k int64) sums {
	n := s.requests / k
	return sums{requests: n, errors: min(n, (s.errors+k-1)/k)}
}

func (s sums) betterPart(k int64) sums {
	return sums{requests: (s.requests + k - 1) / k, errors: s.errors / k}
}

// draw is the distribution of the candidate's errors among all errors of a
// stratum: Fisher's noncentral hypergeometric. research: statistics §2a.
type draw struct {
	x       float64   // the candidate's errors, above the least possible
	weights []float64 // log weights of 0, 1, … above the least possible
}

// newDraw reports false where the counts leave nothing to chance.
func newDraw(s stratum) (draw, bool) {
	nc, nb := s.candidate.requests, s.stable.requests
	m := s.candidate.errors + s.stable.errors
	least, choices := max(0, m-nb), s.choices()
	if choices <= 1 {
		return draw{}, false
	}
	d := draw{x: float64(s.candidate.errors - least), weights: make([]float64, choices)}
	for i := range d.weights[1:] {
		y := least + int64(i)
		ratio := float64(float64(nc-y)*float64(m-y)) / float64(float64(y+1)*float64(nb-m+y+1))
		d.weights[i+1] = d.weights[i] + ln(ratio)
	}
	return d, true
}

// log is the log probability of what was seen at a log odds ratio, up to a
// constant of the stratum.
func (d draw) log(logPsi float64) float64 {
	mode, top := 0, 0.0
	for y, w := range d.weights {
		if term := w + float64(float64(y)*logPsi); term > top {
			mode, top = y, term
		}
	}
	// The terms fall off on both sides of the mode; what is below e^-40 of it is
	// lost in the sum anyway.
	sum := 1.0
	for y := mode + 1; y < len(d.weights); y++ {
		term := d.weights[y] + float64(float64(y)*logPsi) - top
		if term < -40 {
			break
		}
		sum += expo(term)
	}
	for y := mode - 1; y >= 0; y-- {
		term := d.weights[y] + float64(float64(y)*logPsi) - top
		if term < -40 {
			break
		}
		sum += expo(term)
	}
	return float64(d.x*logPsi) - top - ln(sum)
}

package analysis

import "math"

// ladderRungs is the number of odds ratios that the likelihood is kept at, for
// an estimate and its bounds.
const ladderRungs = 29

// ladder lists log odds ratios, close together near equality and up to e^±8.
func ladder() [ladderRungs]float64 {
	return [ladderRungs]float64{
		-8, -5.6, -4, -2.8, -2, -1.4, -1, -0.7, -0.5, -0.35, -0.25, -0.15, -0.1, -0.05,
		0, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8,
	}
}

// odds is the evidence on the candidate's odds of an error against stable's,
// stratum by stratum, given the requests and the errors of both together.
// Realised counts make it exact under any split, also one that evidence chose.
type odds struct {
	Harm       process           `json:"harm"` // against "at most rollbackIf times stable's"
	Safe       process           `json:"safe"` // against "at least promoteIf times stable's"
	Likelihood [ladderRungs]nats `json:"likelihood"`
}

// oddsGrid holds the alternatives as log odds ratios, computed once per update.
type oddsGrid struct {
	harmNull, safeNull float64
	shifts             [shifts]float64
	ladder             [ladderRungs]float64
}

func newOddsGrid(harmful, safe float64) oddsGrid {
	g := oddsGrid{shifts: shiftsOf(), ladder: ladder()}
	if harmful > 0 {
		g.harmNull = ln(harmful)
	}
	if safe > 0 {
		g.safeNull = ln(safe)
	}
	return g
}

// add counts one stratum, for harm and for safety.
func (o *odds) add(g *oddsGrid, s stratum) {
	if s.choices() > mostChoices {
		o.addApart(g, s, s)
		return
	}
	if d, informative := newDraw(s); informative {
		o.addHarm(g, d)
		o.addSafe(g, d)
	}
}

// addApart counts one stratum for harm and another for safety.
func (o *odds) addApart(g *oddsGrid, harm, safe stratum) {
	if d, informative := newDraw(harm.sampled(ofStable)); informative {
		o.addHarm(g, d)
	}
	if d, informative := newDraw(safe.sampled(ofCandidate)); informative {
		o.addSafe(g, d)
	}
}

func (o *odds) addHarm(g *oddsGrid, d draw) {
	null := d.log(g.harmNull)
	for k, shift := range g.shifts {
		o.Harm.Open[k] = o.Harm.Open[k].plus(fixed(d.log(g.harmNull+shift) - null))
	}
	for k, logPsi := range g.ladder {
		o.Likelihood[k] = o.Likelihood[k].plus(fixed(d.log(logPsi)))
	}
}

func (o *odds) addSafe(g *oddsGrid, d draw) {
	null := d.log(g.safeNull)
	for k, shift := range g.shifts {
		o.Safe.Open[k] = o.Safe.Open[k].plus(fixed(d.log(g.safeNull-shift) - null))
	}
}

func (o *odds) closeBlock(limit nats) {
	o.Harm.closeBlock(limit)
	o.Safe.closeBlock(limit)
}

// estimate is the likeliest odds ratio of the ladder, with bounds that hold at
// every look: the last rung on either side with an e-value of 1/alpha against
// it. Zero High means unbounded.
func (o *odds) estimate(logNeeded float64) Interval {
	if o.Likelihood == ([ladderRungs]nats{}) {
		return Interval{}
	}
	rungs := ladder()
	in := Interval{Estimate: expo(o.peak(rungs))}
	if low, ok := o.rejected(ladderRungs-1, -1, logNeeded); ok {
		in.Low = expo(rungs[low])
	}
	if high, ok := o.rejected(0, 1, logNeeded); ok {
		in.High = expo(rungs[high])
	}
	return in
}

// rejected is the first rung, from one end of the ladder, that the mean likelihood
// ratio of all rungs before it is enough against.
func (o *odds) rejected(from, step int, logNeeded float64) (rung int, ok bool) {
	before := math.Inf(-1)
	for n := range ladderRungs {
		rung = from + n*step
		l := o.Likelihood[rung].float()
		if before-ln(max(1, float64(n)))-l >= logNeeded {
			return rung, true
		}
		before = logSumExp(before, l)
	}
	return 0, false
}

// peak is where the likelihood is greatest: the top of the parabola through the
// best rung and its neighbours, or the first or last rung.
func (o *odds) peak(rungs [ladderRungs]float64) float64 {
	best := 0
	for k, l := range o.Likelihood {
		if l > o.Likelihood[best] {
			best = k
		}
	}
	if best == 0 || best == ladderRungs-1 {
		return rungs[best]
	}
	near, l := rungs[best-1:best+2], o.Likelihood[best-1:best+2]
	left, right := near[1]-near[0], near[2]-near[1]
	fallLeft, fallRight := (l[1] - l[0]).float(), (l[1] - l[2]).float()
	slope := float64(fallRight*left) + float64(fallLeft*right)
	if slope <= 0 {
		return rungs[best]
	}
	return rungs[best] - (float64(left*left*fallRight)-float64(right*right*fallLeft))/(2*slope)
}

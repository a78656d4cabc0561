package analysis

// limit is the evidence on one arm's own rate of bad requests against an
// absolute limit. Only the conditional chance of each request is bounded, so
// nothing need be independent or constant. research: statistics §2a, §2c.
type limit struct {
	Harm process `json:"harm"` // against "at most the limit"
	Safe process `json:"safe"` // against "at least the limit"

	Candidate rate `json:"candidate"`
	Stable    fade `json:"stable"` // lately, to tell a shared incident
}

// rate counts bad requests.
type rate struct {
	N   int64 `json:"n"`
	Bad int64 `json:"bad"`
}

func (r rate) plus(o rate) rate { return rate{N: r.N + o.N, Bad: r.Bad + o.Bad} }

// value is the share of bad requests; zero of nothing.
func (r rate) value() float64 {
	if r.N == 0 {
		return 0
	}
	return float64(r.Bad) / float64(r.N)
}

func (r rate) estimate() Estimate { return Estimate{N: r.N, Count: r.Bad, Value: r.value()} }

// limitGrid holds the alternatives of a limit, computed once per update.
type limitGrid struct {
	shifts   [shifts]float64
	up, down [shifts]float64 // what each request costs: log(1-p+p·e^±shift)
}

// newLimitGrid takes the largest acceptable share of bad requests.
func newLimitGrid(p float64) limitGrid {
	g := limitGrid{shifts: shiftsOf()}
	for k, d := range g.shifts {
		g.up[k] = ln(1 + float64(p*(expo(d)-1)))
		g.down[k] = ln(1 + float64(p*(expo(-d)-1)))
	}
	return g
}

// add counts one stratum of the candidate. Where a histogram cannot tell, surely
// is what was bad for certain, and possibly what may have been.
func (l *limit) add(g *limitGrid, surely, possibly rate) {
	l.Candidate = l.Candidate.plus(surely)
	l.Harm.above(g, surely)
	l.Safe.below(g, possibly)
}

// above adds what a rate is worth against "at most the limit".
func (p *process) above(g *limitGrid, r rate) {
	for k, d := range g.shifts {
		p.Open[k] = p.Open[k].plus(fixed(float64(float64(r.Bad)*d) - float64(float64(r.N)*g.up[k])))
	}
}

// below adds what a rate is worth against "at least the limit".
func (p *process) below(g *limitGrid, r rate) {
	for k, d := range g.shifts {
		p.Open[k] = p.Open[k].plus(fixed(-float64(float64(r.Bad)*d) - float64(float64(r.N)*g.down[k])))
	}
}

func (l *limit) closeBlock(burst nats) {
	l.Harm.closeBlock(burst)
	l.Safe.closeBlock(burst)
}

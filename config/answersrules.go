package config

import "slices"

// answersMetric checks what is compared of a shadow's answers.
func (c *checker) answersMetric(path string, m Metric) {
	if m.Compare == nil {
		c.lacks(path, "has no compare: `compare: {by: digest}` compares what servers say of their answers, "+
			"`{by: status}` how they end, `{by: json}` their bodies")
	} else {
		c.comparator(path+".compare", *m.Compare)
		c.positive(path+".compare.within", m.Compare.Within)
	}
	c.untimed(path, m)
	c.uncounted(path, m, "is for errors and counts", "is for errors: it is an error rate")
	if m.SLO != nil {
		c.share(path+".slo", string(m.Name), *m.SLO)
	}
}

// share checks a limit that is a share of all.
func (c *checker) share(path, of string, s SLO) {
	for _, q := range s.latencies() {
		c.refuse(path+"."+q.name, "is for latency, ttfb and tpot: the slo of "+of+" is max", q.limit)
	}
	switch limit := s.Max; {
	case limit == nil:
		c.refusef(path+".max", "is required for %s", of)
	case *limit <= 0 || *limit >= PerMillion:
		c.refuse(path+".max", "is not above 0% and below 100%", *limit)
	}
}

// compares checks that what a policy wants compared can be, on a route that names it.
func (c *checker) compares(r InferenceRoute, p PolicySpec) {
	m, compared := p.Answers()
	if compared {
		c.comparesBodies(r, m)
	}
	switch {
	case r.Strategy.given() > 1: // which of them it would be for is not known
	case r.Strategy.Shadow != nil && !compared:
		c.refuse("spec.analysis.policy", "has no metric answers, and that is all that is judged of a shadow", r.Analysis.Policy)
	case r.Strategy.Canary != nil && compared && !r.Strategy.Canary.shadows():
		c.refusef(canaryPath+".steps", "have no shadow, and policy %s compares answers: "+
			"none would ever be compared, so nothing could be promoted", r.Analysis.Policy)
	}
}

// shadows says whether any step copies requests.
func (s Canary) shadows() bool {
	return slices.ContainsFunc(s.Steps, func(s Step) bool { return s.Shadow > 0 })
}

package main

import (
	"math"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// engine weighs windows. The calibration feeds it ours, and worse ones.
type engine interface {
	update(c analysis.Closed)
	// harm is the log e-value of all tests of harm together.
	harm() float64
	// safe is the least log e-value of the promotion tests whose metric and method
	// have the given beginnings.
	safe(metric, method string) float64
}

// engines makes an engine for a policy.
type engines func(p config.PolicySpec) engine

// arms of every experiment.
func arms() analysis.Arms { return analysis.Arms{Stable: "v1", Candidate: "v2"} }

// sequential is the engine that decides in earnest.
type sequential struct {
	p config.PolicySpec
	e analysis.Evidence
}

func ours(p config.PolicySpec) engine {
	return &sequential{p: p, e: analysis.NewEvidence(p, arms())}
}

func (s *sequential) update(c analysis.Closed) { s.e = s.e.Update(s.p, c) }

func (s *sequential) harm() float64 { return s.judge().LogE }

func (s *sequential) judge() analysis.Assessment {
	return analysis.Judge(s.p, s.e, time.Unix(0, 0))
}

func (s *sequential) safe(metric, method string) float64 {
	least := math.Inf(1)
	for _, t := range s.judge().Tests {
		if t.Direction == "promotion" && strings.HasPrefix(t.Metric, metric) && strings.HasPrefix(t.Method, method) {
			least = min(least, t.LogE)
		}
	}
	return least
}

// pooled adds all counts up, over every split, before it compares: the mistake that
// the engine exists to avoid.
type pooled struct{ stable, candidate counts }

type counts struct{ n, bad float64 }

func (c *counts) add(w analysis.Window) {
	c.n += float64(w.Requests)
	c.bad += float64(w.Errors)
}

func (c counts) rate() float64 { return c.bad / max(c.n, 1) }

func poolers(config.PolicySpec) engine { return &pooled{} }

func (p *pooled) update(c analysis.Closed) {
	for _, w := range c.Windows {
		if w.Version == "v2" {
			p.candidate.add(w)
		} else {
			p.stable.add(w)
		}
	}
}

// harm is the same test as the engine's on the pooled counts; large counts make
// its distribution normal.
func (p *pooled) harm() float64 {
	if p.stable.n == 0 || p.candidate.n == 0 {
		return 0
	}
	logOdds := math.Log(p.candidate.n / p.stable.n)
	sum := 0.0
	for d, k := 0.1, 0; k < 14; d, k = d*1.4, k+1 { // statistics §2a, one error at a time
		share := func(shift float64) float64 { return 1 / (1 + math.Exp(-logOdds-shift)) }
		l := p.candidate.bad*math.Log(share(d)/share(0)) + p.stable.bad*math.Log((1-share(d))/(1-share(0)))
		sum += math.Exp(min(l, 600)) / 14
	}
	return math.Log(sum)
}

func (p *pooled) safe(string, string) float64 { return math.Inf(-1) }

// zTest compares pooled rates by the normal approximation. Its "evidence" is the
// log of one over the one-sided p-value, at the end of each minute.
type zTest struct {
	pooled

	last int64
	log  float64
}

func zTests(config.PolicySpec) engine { return &zTest{} }

func (z *zTest) update(c analysis.Closed) {
	z.pooled.update(c)
	if minute := c.Windows[0].Index / 240; minute != z.last {
		z.last, z.log = minute, z.minusLogP()
	}
}

func (z *zTest) minusLogP() float64 {
	a, b := z.candidate, z.stable
	p := (a.bad + b.bad) / (a.n + b.n)
	se := math.Sqrt(p * (1 - p) * (1/a.n + 1/b.n))
	if !(se > 0) {
		return 0
	}
	return -math.Log(math.Erfc((a.rate()-b.rate())/se/math.Sqrt2) / 2)
}

func (z *zTest) harm() float64 { return z.log }

// minutely looks at the last minute alone, as a query of a metrics store does.
type minutely struct {
	now  pooled
	last int64
	bad  func(stable, candidate float64) bool
	hits int
	most int // hits that it takes
}

// minuteRule fires where a rule held for so many minutes.
func minuteRule(times int, bad func(stable, candidate float64) bool) engines {
	return func(config.PolicySpec) engine { return &minutely{bad: bad, most: times} }
}

func (m *minutely) update(c analysis.Closed) {
	if minute := c.Windows[0].Index / 240; minute != m.last {
		if m.bad(m.now.stable.rate(), m.now.candidate.rate()) {
			m.hits++
		}
		m.last, m.now = minute, pooled{}
	}
	m.now.update(c)
}

func (m *minutely) harm() float64 { return 1000 * float64(min(m.hits/m.most, 1)) }

func (m *minutely) safe(string, string) float64 { return math.Inf(-1) }

// minuteTail compares the slowest hundredth of the last minute.
type minuteTail struct {
	stable, candidate analysis.Buckets
	last              int64
	fired             bool
}

func (m *minuteTail) update(c analysis.Closed) {
	if minute := c.Windows[0].Index / 240; minute != m.last {
		if m.candidate.Count() > 0 && m.stable.Count() > 0 {
			m.fired = m.fired || float64(m.candidate.Quantile(.99)) > 1.1*float64(m.stable.Quantile(.99))
		}
		m.last, m.stable, m.candidate = minute, nil, nil
	}
	for _, w := range c.Windows {
		if w.Version == "v2" {
			m.candidate.Merge(w.Latencies)
		} else {
			m.stable.Merge(w.Latencies)
		}
	}
}

func (m *minuteTail) harm() float64 {
	if m.fired {
		return 1000
	}
	return 0
}

func (m *minuteTail) safe(string, string) float64 { return math.Inf(-1) }

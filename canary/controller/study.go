package controller

import (
	"reflect"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// study watches what a shadow answers where that is the strategy: it is told, and
// nothing is done about it.
type study struct {
	canary.Study

	pairs  *analysis.Pairs
	judged time.Time
	last   *analysis.Assessment
}

// followStudy begins or ends one with the configuration. One that goes on keeps its
// evidence.
func (c *Controller) followStudy() {
	shadow := c.route.Strategy.Shadow
	m, compared := c.policy.Answers()
	if shadow == nil || !compared {
		c.study = nil
		return
	}
	policy := c.policy
	policy.Metrics = []config.Metric{m}
	arms := analysis.Arms{Route: c.Key, Stable: shadow.Of, Candidate: shadow.To}
	if c.study == nil || c.study.Evidence.Arms != arms || !sameQuestion(c.study.Policy, policy) {
		c.study = newStudy(canary.Study{Policy: policy, Evidence: analysis.NewEvidence(policy, arms)})
	}
}

// declareStudy tells the study of the split that is in force.
func (c *Controller) declareStudy() {
	if c.study != nil {
		c.study.pairs.Split(c.state.Published)
	}
}

// sameQuestion says whether evidence for one policy is evidence for another.
func sameQuestion(a, b config.PolicySpec) bool {
	return reflect.DeepEqual(a.Metrics, b.Metrics) && a.Confidence == b.Confidence
}

func newStudy(of canary.Study) *study {
	m, _ := of.Policy.Answers()
	return &study{Study: of, pairs: analysis.NewPairs(m, of.Evidence.Arms)}
}

// studied takes requests.
func (c *Controller) studied(now time.Time, requests []analysis.Request) {
	if c.study == nil {
		return
	}
	for _, r := range requests {
		c.study.pairs.Add(now, r)
	}
}

// pairs joins answers to copies; nil where nobody does.
func (c *Controller) pairs() *analysis.Pairs {
	switch {
	case c.sense != nil:
		return c.sense.pairs
	case c.study != nil:
		return c.study.pairs
	}
	return nil
}

// reads is what bodies of answers to copies are to be read by; nil where none are.
func (c *Controller) reads() *config.Compare {
	if p := c.pairs(); p != nil {
		return p.Reads()
	}
	return nil
}

// Copied takes what was read of the answer to a copied request.
func (c *Controller) Copied(now time.Time, gist analysis.Gist) {
	if p := c.pairs(); p != nil {
		p.Copied(now, gist)
	}
}

// lookStudy compares the answers that are due, and judges them.
func (c *Controller) lookStudy(now time.Time) {
	s := c.study
	if s == nil || now.Sub(s.judged) < Look {
		return
	}
	s.judged = now
	if answers := s.pairs.Close(now); len(answers) > 0 {
		s.Evidence = s.Evidence.Compare(s.Policy, answers...)
		c.dirty = true
	}
	a := analysis.Judge(s.Policy, s.Evidence, now)
	if c.gap != "" {
		a.Verdict, a.Reason, a.Why = analysis.Blind, c.gap, analysis.Why{Kind: analysis.WhySignals}
	}
	s.last = &a
}

// compared is the last look at the answers; nil where none are compared.
func (c *Controller) compared() *analysis.Assessment {
	if c.study == nil {
		return nil
	}
	if c.state.Proxies == 0 {
		return forNobody(c.study.last)
	}
	return c.study.last
}

// keptStudy is what is saved of it.
func (c *Controller) keptStudy() *canary.Study {
	if c.study == nil {
		return nil
	}
	kept := c.study.Study
	return &kept
}

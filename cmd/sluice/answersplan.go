package main

import (
	"fmt"
	"io"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/forecast"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// answersPlan is how many answers of a shadow have to be compared, and what that costs.
type answersPlan struct {
	By config.Comparator `json:"by"`
	// Copied is the share of requests that the shadow is sent, Again what stable is asked
	// a second time.
	Copied config.Percent `json:"copied"`
	Again  config.Percent `json:"again,omitempty"`
	// ToPass is how many compared answers are enough where none differs, ToBlame where
	// Differing do, in 19 of 20 cases. 0: none are enough.
	ToPass    int64          `json:"toPass"`
	ToBlame   int64          `json:"toBlame"`
	Differing config.Percent `json:"differing"`
	// PassAfter and BlameAfter are how long they take to come. Not known without --rps.
	PassAfter  forecast.Seconds `json:"passAfter,omitempty"`
	BlameAfter forecast.Seconds `json:"blameAfter,omitempty"`
}

// planAnswers is nil where nothing is compared.
func planAnswers(p config.PolicySpec, copied config.Percent, rate float64) *answersPlan {
	m, compared := p.Answers()
	if !compared || copied == 0 {
		return nil
	}
	plan := &answersPlan{By: m.Compare.By, Copied: copied, Differing: differing(m)}
	if m.Twice() {
		plan.Again = copied
	}
	plan.ToPass, plan.ToBlame = analysis.AnswersToPass(p), analysis.AnswersToBlame(p, plan.Differing.Fraction())
	if rate > 0 {
		perSecond, wait := rate*copied.Fraction(), m.Compare.Within.D().Seconds()
		plan.PassAfter = forecast.Seconds(float64(plan.ToPass)/perSecond + wait)
		plan.BlameAfter = forecast.Seconds(float64(plan.ToBlame)/perSecond + wait)
	}
	return plan
}

// differing is the share that a plan asks about: twice what is tolerated.
func differing(m config.Metric) config.Percent {
	if m.SLO == nil {
		return 2 * config.PerMillion / 100
	}
	return min(2**m.SLO.Max, config.PerMillion/2)
}

func (p *answersPlan) print(w io.Writer) {
	if p == nil {
		return
	}
	again := ""
	if p.Again > 0 {
		again = fmt.Sprintf(" and stable %s", p.Again)
	}
	fmt.Fprintf(w, "  answers by %s: the shadow is sent %s%s more of stable's requests, at most %d at a time from each proxy\n",
		p.By, p.Copied, again, xds.ShadowLimit)
	fmt.Fprintf(w, "  answers that never differ pass after %s; where %s differ they are named after %s, 19 times of 20\n",
		comparisons(p.ToPass, p.PassAfter), p.Differing, comparisons(p.ToBlame, p.BlameAfter))
}

func comparisons(n int64, after forecast.Seconds) string {
	switch {
	case n == 0:
		return "more than can be compared"
	case after == 0:
		return fmt.Sprintf("%d compared", n)
	}
	return fmt.Sprintf("%d compared (%s)", n, span(after))
}

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
	// Copied is the share of requests that the shadow is sent, Again what stable is sent
	// beside what its users ask.
	Copied config.Percent `json:"copied"`
	Again  config.Percent `json:"again,omitempty"`
	// Same is what it takes to pass where none differs, Blamed to be named harmful, in 19
	// of 20 cases, where some do.
	Same   sample   `json:"same"`
	Blamed []sample `json:"blamed"`
}

// sample is how many compared answers are enough where a share of them differs.
type sample struct {
	Differing config.Percent `json:"differing"`
	Answers   int64          `json:"answers"` // 0: none are enough
	// After is how long they take to come. Not known without --rps.
	After forecast.Seconds `json:"after,omitempty"`
}

// planAnswers is nil where nothing is compared.
func planAnswers(p config.PolicySpec, copied config.Percent, rate float64) *answersPlan {
	m, compared := p.Answers()
	if !compared || copied == 0 {
		return nil
	}
	plan := &answersPlan{By: m.Compare.By, Copied: copied}
	plan.Again = config.Percent(m.Copies()) * copied
	timed := func(differing config.Percent, answers int64) sample {
		after := 0.0
		if rate > 0 {
			after = float64(answers)/(rate*copied.Fraction()) + m.Compare.Within.D().Seconds()
		}
		return sample{differing, answers, forecast.Seconds(after)}
	}
	plan.Same = timed(0, analysis.AnswersToPass(p))
	for _, times := range []config.Percent{2, 4} {
		if share := times * tolerated(m); share < config.PerMillion {
			plan.Blamed = append(plan.Blamed, timed(share, analysis.AnswersToBlame(p, share.Fraction())))
		}
	}
	return plan
}

// tolerated is the share of answers that may differ; 1% where only stable's own say so.
func tolerated(m config.Metric) config.Percent {
	if m.SLO == nil {
		return config.PerMillion / 100
	}
	return *m.SLO.Max
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
	if p.By.Bodies() {
		fmt.Fprintf(w, "  bodies of those copies' answers are read, up to %d KiB each\n", analysis.LongestBody>>10)
	}
	fmt.Fprintf(w, "  answers that never differ pass after %s", p.Same)
	for _, b := range p.Blamed {
		fmt.Fprintf(w, "; where %s differ they are named after %s", b.Differing, b)
	}
	fmt.Fprintln(w, ", 19 times of 20")
}

// String says how many, and how long they take.
func (s sample) String() string {
	switch {
	case s.Answers == 0:
		return "more than can be compared"
	case s.After == 0:
		return fmt.Sprintf("%d compared", s.Answers)
	}
	return fmt.Sprintf("%d compared (%s)", s.Answers, span(s.After))
}

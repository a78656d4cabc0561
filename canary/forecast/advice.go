package forecast

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// advice says what is odd about a policy under the traffic it was tried with.
func advice(c Config, f Forecast) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if h := f.Healthy; h.Promoted < h.Trials*9/10 {
		say("%d of %d healthy candidates were not promoted within %s; %s is what they waited for",
			h.Trials-h.Promoted, h.Trials, c.Policy.Limits.MaxDuration, cmp.Or(h.Bottleneck, "no test"))
	}
	if f.Healthy.FalseRollback.Low > c.Policy.Confidence.FalseRollback.Fraction() {
		say("%d of %d healthy candidates were rolled back, more than the policy's %s: pods' queues outlast its blocks of %s",
			f.Healthy.RolledBack, f.Healthy.Trials, c.Policy.Confidence.FalseRollback, c.Policy.Unit.Block)
	}
	if pods := min(c.StablePods, c.CandidatePods); pods < 2 && judges(c.Policy, config.MetricLatency) {
		say("one pod cannot tell its version from its node: latency wants two or more of each version")
	}
	all = append(all, c.errorAdvice())
	for _, s := range f.Smallest {
		if s.Size == 0 {
			say("no harm to %s that was tried is caught in 90%% of rollouts within %s", s.Metric, c.Policy.Limits.MaxDuration)
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// leftOut names what a policy judges and no world has.
func leftOut(p config.PolicySpec) (all []string) {
	for _, m := range p.Metrics {
		switch {
		case m.Compare != nil:
			all = append(all, fmt.Sprintf("%s are left out, for no answer is simulated: sluice plan says how many it takes to compare", m.Name))
		case m.Prometheus != nil:
			all = append(all, fmt.Sprintf("%s comes from Prometheus and is left out: what it takes in time and false rollbacks is not foreseen", m.Name))
		}
	}
	return all
}

func judges(p config.PolicySpec, name config.MetricName) bool {
	for _, m := range p.Metrics {
		if m.Name == name {
			return true
		}
	}
	return false
}

// errorAdvice compares the two ways to pass for errors: against stable, and against
// the limit. source: the bound log(1/beta) over the information of a request, whose
// median is a quarter above it (statistics §7).
func (c Config) errorAdvice() string {
	for _, m := range c.Policy.Metrics {
		if m.Name != config.MetricErrors || m.VersusStable == nil || len(c.Steps) == 0 {
			continue
		}
		share := c.Steps[len(c.Steps)-1].Weight.Fraction()
		byComparing := c.relative(m.VersusStable.PromoteIf.Ratio, share)
		what, rate := "requests", c.Rate
		if c.PerUnit > 0 {
			what, rate = "units", c.Rate/c.PerUnit
		}
		text := fmt.Sprintf("errors below %gx stable's take about %s %s, %s",
			m.VersusStable.PromoteIf.Ratio, count(byComparing), what, duration(byComparing/rate))
		if m.SLO == nil || m.SLO.Max == nil {
			return text
		}
		byLimit := c.absolute(m.SLO.Max.Fraction())
		return text + fmt.Sprintf("; errors below %s take about %s candidate %s, %s",
			m.SLO.Max, count(byLimit), what, duration(byLimit/(rate*share)))
	}
	return ""
}

// relative is about how many requests of both arms show that the candidate's odds of
// failing are below a ratio, if they are equal.
func (c Config) relative(ratio, share float64) float64 {
	null := share * ratio / (share*ratio + 1 - share)
	gain := share*math.Log(share/null) + (1-share)*math.Log((1-share)/(1-null))
	return 1.25 * c.passing() / (max(c.Errors, 1e-6) * gain)
}

// absolute is about how many candidate requests show that its rate is below a limit.
func (c Config) absolute(limit float64) float64 {
	p := max(c.Errors, 1e-6)
	if p >= limit {
		return math.Inf(1)
	}
	return 1.25 * c.passing() / (p*math.Log(p/limit) + (1-p)*math.Log((1-p)/(1-limit)))
}

func (c Config) passing() float64 { return -math.Log(c.Policy.Confidence.FalsePromotion.Fraction()) }

func count(n float64) string {
	if math.IsInf(n, 1) {
		return "endlessly many"
	}
	return fmt.Sprintf("%.0f", math.Round(n/10)*10)
}

func duration(seconds float64) string {
	switch {
	case math.IsInf(seconds, 1):
		return "never"
	case seconds < 120:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.0f h", seconds/3600)
}

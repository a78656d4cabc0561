package config

import (
	"fmt"
	"math"
)

func (c *checker) policyName(name string) {
	if name == DefaultPolicy {
		c.refuse("metadata.name", "is the name of the built-in policy: choose another", name)
	}
}

func (c *checker) policy(s PolicySpec) {
	c.confidence(s.Confidence)
	c.limits(s.Limits)
	c.notNegative("spec.warmup.perPod", s.Warmup.PerPod)
	c.atLeast("spec.warmup.requests", s.Warmup.Requests, 0)
	c.unit(s.Unit, s.Limits)
	c.metrics(s.Metrics)
	c.segments(s)
	c.trip(s.Trip)
	c.prometheusMetrics(s)
}

func (c *checker) confidence(s Confidence) {
	chance := func(path string, p Percent) {
		if p <= 0 || p >= PerMillion/2 {
			c.refuse(path, "is not above 0% and below 50%", p)
		}
	}
	chance("spec.confidence.falseRollback", s.FalseRollback)
	chance("spec.confidence.falsePromotion", s.FalsePromotion)
}

func (c *checker) limits(s Limits) {
	const path = "spec.limits"
	c.notNegative(path+".minStep", s.MinStep)
	c.atLeast(path+".minRequestsPerStep", s.MinRequestsPerStep, 0)
	c.positive(path+".maxDuration", s.MaxDuration)
	c.positive(path+".progressDeadline", s.ProgressDeadline)
	c.positive(path+".maxBlind", s.MaxBlind)
	c.positive(path+".ackTimeout", s.AckTimeout)
	if s.OnInconclusive == FallbackRetry {
		c.refuse(path+".onInconclusive", "cannot be Retry: a new spec.attempt tries again",
			string(s.OnInconclusive))
	} else {
		oneOf(c, path+".onInconclusive", s.OnInconclusive, FallbackHold, FallbackPromote, FallbackRollback)
	}
	if s.MinStep >= s.MaxDuration && c.sound(path+".minStep", path+".maxDuration") {
		c.refuse(path+".minStep", fmt.Sprintf("is not below limits.maxDuration, %s: no step could end in time", s.MaxDuration), s.MinStep)
	}
}

func (c *checker) unit(u Unit, l Limits) {
	const path = "spec.unit.block"
	switch {
	case u.Block.D().Seconds() < 1:
		c.refuse(path, "is below 1s: a block must outlast the queues it is judged by", u.Block)
	case u.Block >= l.MaxDuration && c.sound("spec.limits.maxDuration"):
		c.refuse(path, fmt.Sprintf("is not below limits.maxDuration, %s: no block could end in time", l.MaxDuration), u.Block)
	}
}

func (c *checker) metrics(metrics []Metric) {
	if len(metrics) == 0 {
		c.lacks("spec.metrics", "is empty: nothing would be judged")
	}
	first := map[MetricName]int{}
	for i, m := range metrics {
		path := at("spec.metrics", i)
		c.metric(path, m)
		if m.Prometheus == nil && !oneOf(c, path+".name", m.Name, MetricErrors, MetricLatency, MetricTTFB, MetricTPOT, MetricAnswers) {
			continue
		}
		if j, taken := first[m.Name]; taken {
			c.refuse(path+".name", "is judged already, by "+at("spec.metrics", j), string(m.Name))
		} else {
			first[m.Name] = i
		}
	}
}

func (c *checker) metric(path string, m Metric) {
	if !(m.Weight > 0) || math.IsInf(m.Weight, 0) {
		c.refuse(path+".weight", "is not above 0", m.Weight)
	}
	if m.SLO == nil && m.VersusStable == nil {
		c.lacks(path, "has neither slo nor versusStable: it would judge nothing")
	}
	if m.Compare != nil && m.Name != MetricAnswers {
		c.refusef(path+".compare", "is for answers")
	}
	switch {
	case m.Prometheus != nil:
		c.ownMetric(path, m)
	case m.Name == MetricAnswers:
		c.answersMetric(path, m)
	case m.Name == MetricErrors:
		c.errorsMetric(path, m)
	case m.Name.Timed():
		c.timeMetric(path, m)
	}
	if m.VersusStable != nil {
		c.versusStable(path+".versusStable", *m.VersusStable, m.SLO)
		if m.Name.Timed() {
			c.resolution(path+".versusStable", *m.VersusStable)
		}
	}
}

// untimed refuses what is for metrics of times alone.
func (c *checker) untimed(path string, m Metric) {
	if len(m.Quantiles) > 0 {
		c.refuse(path+".quantiles", "is for latency, ttfb and tpot", nil)
	}
}

// uncounted refuses what is for metrics of counts alone, and says why.
func (c *checker) uncounted(path string, m Metric, burstCap, floor string) {
	if _, written := c.lines[path+".burstCap"]; written || m.BurstCap != 0 {
		c.refuse(path+".burstCap", burstCap, m.BurstCap)
	}
	if v := m.VersusStable; v != nil && v.Floor != 0 {
		c.refuse(path+".versusStable.floor", floor, v.Floor)
	}
}

func (c *checker) errorsMetric(path string, m Metric) {
	c.untimed(path, m)
	if !(m.BurstCap > 0) || math.IsInf(m.BurstCap, 0) {
		c.refuse(path+".burstCap", "is not above 0", m.BurstCap)
	}
	if m.SLO != nil {
		c.share(path+".slo", "errors", *m.SLO)
	}
}

func (c *checker) timeMetric(path string, m Metric) {
	c.uncounted(path, m, "is for errors: a block adds only a rank to "+string(m.Name), "is for errors: it is an error rate")
	if m.VersusStable == nil && len(m.Quantiles) > 0 {
		c.refusef(path+".quantiles", "are what versusStable compares, and there is none")
	}
	c.quantiles(path+".quantiles", m)
	if m.SLO != nil {
		c.latencySLO(path+".slo", *m.SLO)
	}
}

func (c *checker) quantiles(path string, m Metric) {
	if m.VersusStable != nil && len(m.Quantiles) == 0 {
		c.refusef(path, "is empty: leave it out for p50, p95 and p99")
	}
	first := map[Quantile]bool{}
	for i, q := range m.Quantiles {
		switch {
		case !(q > 0 && q < 1):
			c.refuse(at(path, i), "is not above p0 and below p100", q)
		case first[q]:
			c.refuse(at(path, i), "is written twice", q)
		}
		first[q] = true
	}
}

func (c *checker) latencySLO(path string, s SLO) {
	if s.Max != nil {
		c.refuse(path+".max", "is for errors: the slo of times is p50, p90, p95 or p99", *s.Max)
	}
	limits := s.latencies()
	if len(limits) == 0 {
		c.lacks(path, "has none of p50, p90, p95 and p99")
	}
	for i, q := range limits {
		c.positive(path+"."+q.name, q.limit)
		if i > 0 && q.limit < limits[i-1].limit && c.sound(path+"."+q.name) {
			c.refuse(path+"."+q.name, fmt.Sprintf("is below %s, %s: a higher quantile is never faster", limits[i-1].name, limits[i-1].limit), q.limit)
		}
	}
}

// latencyLimit is one quantile's limit of an SLO.
type latencyLimit struct {
	name  string
	limit Duration
}

// latencies lists the limits that are set, the lowest quantile first.
func (s SLO) latencies() []latencyLimit {
	var limits []latencyLimit
	add := func(name string, limit *Duration) {
		if limit != nil {
			limits = append(limits, latencyLimit{name, *limit})
		}
	}
	add("p50", s.P50)
	add("p90", s.P90)
	add("p95", s.P95)
	add("p99", s.P99)
	return limits
}

func (c *checker) versusStable(path string, v VersusStable, slo *SLO) {
	c.tolerance(path+".rollbackIf", v.RollbackIf)
	if v.PromoteIf.Ratio <= float64(v.RollbackIf) && c.sound(path+".rollbackIf", path+".promoteIf") {
		c.refuse(path+".promoteIf", fmt.Sprintf("is not above rollbackIf, %s: "+
			"a candidate between the two, or on the edge, would never be decided", v.RollbackIf), v.PromoteIf)
	}
	if v.PromoteIf.OrSLO && slo == nil {
		c.refuse(path+".promoteIf", `says "or slo", and the metric has no slo`, v.PromoteIf)
	}
	if v.Floor < 0 || v.Floor >= PerMillion {
		c.refuse(path+".floor", "is not from 0% up and below 100%", v.Floor)
	}
}

// stepsPerTenth is how many steps of times there are to each 10%.
const stepsPerTenth = 5

// resolution refuses margins of times that are one when counted in steps. The tolerance is
// rounded up to a step, and the margin down, so that neither promises too much.
func (c *checker) resolution(path string, v VersusStable) {
	steps := func(ratio float64) float64 { return math.Log(ratio) * stepsPerTenth / math.Log(1.1) }
	if !c.sound(path+".rollbackIf", path+".promoteIf") {
		return
	}
	if math.Floor(steps(v.PromoteIf.Ratio)+1e-6) <= math.Ceil(steps(float64(v.RollbackIf))-1e-6) {
		c.refuse(path+".promoteIf", fmt.Sprintf("is not a whole step above rollbackIf, %s: "+
			"times are told apart in steps of 1.92%%, five to each 10%%", v.RollbackIf), v.PromoteIf)
	}
}

func (c *checker) tolerance(path string, a Above) {
	if !(a >= 1) || math.IsInf(float64(a), 0) {
		c.refuse(path, "is below 1x: a version as good as stable would count as worse", a)
	}
}

func (c *checker) trip(t Trip) {
	const path = "spec.trip"
	if t.Level < 90*perPercent || t.Level > 99.99*perPercent {
		c.refuse(path+".level", "is not from 90% to 99.99%", t.Level)
	}
	c.tolerance(path+".latency", t.Latency)
	c.positive(path+".settle", t.Settle)
	c.atLeast(path+".limit", int64(t.Limit), 1)
	if t.OnTrip == FallbackPromote {
		c.refuse(path+".onTrip", "cannot be Promote: a trip is suspicion of harm", string(t.OnTrip))
		return
	}
	oneOf(c, path+".onTrip", t.OnTrip, FallbackRollback, FallbackHold, FallbackRetry)
}

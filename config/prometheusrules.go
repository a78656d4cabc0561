package config

import (
	"fmt"
	"net/url"
	"strings"
)

// counted says whether the metric is a share of requests or of counts.
func (m Metric) counted() bool {
	return m.Name == MetricErrors || m.Prometheus != nil && m.Prometheus.Counts()
}

// ownMetric checks a metric from Prometheus: counts as errors are, a gauge as it alone.
func (c *checker) ownMetric(path string, m Metric) {
	switch {
	case m.Name == MetricErrors || m.Name.Timed() || m.Name == MetricAnswers:
		c.refuse(path+".name", "is what Sluice measures itself: a metric of your own needs a name of its own", string(m.Name))
	case !isLabel(string(m.Name)):
		c.refuse(path+".name", labelFact, string(m.Name))
	}
	c.prometheus(path+".prometheus", *m.Prometheus)
	if m.Prometheus.Counts() {
		c.errorsMetric(path, m)
		return
	}
	if m.SLO != nil {
		c.refusef(path+".slo", "is for counts: a gauge is only compared with stable's")
	}
	c.untimed(path, m)
	c.uncounted(path, m, "is for counts: a reading of a gauge adds only a sign", "is for counts: it is a share")
}

func (c *checker) prometheus(path string, p Prometheus) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		c.refuse(path+".url", "is not the URL of a server, as http://prometheus:9090", p.URL)
	}
	switch counts := p.Bad != "" || p.Total != ""; {
	case counts && p.Value != "":
		c.refusef(path, "has both counts and a value: give bad and total, or value")
	case !counts && p.Value == "":
		c.lacks(path, "has no query: give bad and total, or value")
	case counts && (p.Bad == "" || p.Total == ""):
		c.lacks(path, "has only one of bad and total: a share needs both")
	}
	for _, q := range []struct{ field, query string }{{"bad", p.Bad}, {"total", p.Total}, {"value", p.Value}} {
		if q.query != "" && !strings.Contains(q.query, "$version") {
			c.refuse(path+"."+q.field, "has no $version: it would tell the same of both", q.query)
		}
	}
	if p.Interval.D().Seconds() < 1 {
		c.refuse(path+".interval", "is below 1s", p.Interval)
	}
	c.positive(path+".stale", p.Stale)
}

// prometheusMetrics checks what depends on other parts of the policy.
func (c *checker) prometheusMetrics(s PolicySpec) {
	for i, m := range s.Metrics {
		path := at("spec.metrics", i) + ".prometheus.interval"
		if p := m.Prometheus; p != nil && !p.Counts() && p.Interval < s.Unit.Block && c.sound(path, "spec.unit.block") {
			c.refuse(path, fmt.Sprintf("is below unit.block, %s: readings of a gauge must be as far apart as blocks are long", s.Unit.Block), p.Interval)
		}
	}
}

// mostSegments bounds what a route's evidence may cost.
const mostSegments = 100

func (c *checker) segments(s PolicySpec) {
	if s.Segments == nil {
		return
	}
	const path = "spec.segments"
	switch {
	case !isToken(s.Segments.Header):
		c.refuse(path+".header", "is not the name of a header", s.Segments.Header)
	case isStamp(s.Segments.Header):
		c.refuse(path+".header", "is one of Sluice's own, which clients cannot set", s.Segments.Header)
	}
	if s.Segments.Max < 1 || s.Segments.Max > mostSegments {
		c.refuse(path+".max", fmt.Sprintf("is not from 1 to %d", mostSegments), s.Segments.Max)
	}
	for _, m := range s.Metrics {
		if (m.Name == MetricErrors || m.Name.Timed()) && m.VersusStable != nil {
			return
		}
	}
	c.refusef(path, "needs a metric errors, latency, ttfb or tpot with versusStable: that is what is watched in each segment")
}

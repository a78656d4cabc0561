package controller

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// pastPart is how long one half of the past lasts.
const pastPart = time.Minute

// past is how long stable took lately: this minute and the one before.
type past struct {
	now, before analysis.Buckets
	turned      time.Time
}

// turn forgets what is too old.
func (p *past) turn(now time.Time) {
	if now.Sub(p.turned) < pastPart {
		return
	}
	p.now, p.before, p.turned = nil, p.now, now
}

// age is when the outcome of a request is judged, counted from its start.
func (p *past) age(policy config.PolicySpec) time.Duration {
	var all analysis.Buckets
	all.Merge(p.before)
	all.Merge(p.now)
	return analysis.Age(all, slowest(policy))
}

// slowest is the policy's largest latency limit; 0 without one.
func slowest(policy config.PolicySpec) (limit time.Duration) {
	for _, m := range policy.Metrics {
		if m.Name != config.MetricLatency || m.SLO == nil {
			continue
		}
		for _, d := range []*config.Duration{m.SLO.P50, m.SLO.P90, m.SLO.P95, m.SLO.P99} {
			if d != nil {
				limit = max(limit, d.D())
			}
		}
	}
	return limit
}

// delay is how long after their end log entries come, lately.
type delay struct{ mean time.Duration }

// see moves the mean by a sixteenth per batch.
func (d *delay) see(now time.Time, requests []analysis.Request) {
	var worst time.Duration
	for _, r := range requests {
		worst = max(worst, now.Sub(r.End()))
	}
	if d.mean == 0 {
		d.mean = worst
	}
	d.mean += (worst - d.mean) / 16
}

package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// pastPart is how long one half of a Past lasts.
const pastPart = time.Minute

// Past is how long stable took lately: this minute and the one before. It chooses
// when the outcome of later requests is judged. The zero value knows nothing.
type Past struct {
	now, before Buckets
	turned      time.Time
}

// See counts a request if it is one of stable's that was answered.
func (p *Past) See(stable string, r Request) {
	if r.Version == stable && r.Evident() && !r.Running && r.Outcome == Succeeded {
		p.now.Add(r.Duration)
	}
}

// Turn forgets what is too old. Call it at least every minute.
func (p *Past) Turn(now time.Time) {
	if now.Sub(p.turned) >= pastPart {
		p.now, p.before, p.turned = nil, p.now, now
	}
}

// Age is when the outcome of a request is judged, counted from its start, under a
// parsed policy.
func (p *Past) Age(policy config.PolicySpec) time.Duration {
	return Age(p.all(), slowestOf(policy))
}

// Patience is for how long a request may wait before it is judged by that, under a parsed
// policy.
func (p *Past) Patience(policy config.PolicySpec) time.Duration {
	return Patience(p.all(), slowestOf(policy))
}

func (p *Past) all() (all Buckets) {
	all.Merge(p.before)
	all.Merge(p.now)
	return all
}

// slowestOf is a policy's slowest limit of a latency; 0 where there is none.
func slowestOf(policy config.PolicySpec) (slowest time.Duration) {
	for _, l := range timeLimitsOf(metricOf(policy, config.MetricLatency)) {
		slowest = max(slowest, l.latency)
	}
	return slowest
}

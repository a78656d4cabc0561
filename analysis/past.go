package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// pastPart is how long one half of a Past lasts.
const pastPart = time.Minute

// Of the first answers the fast ones come first, so what stable takes is known once it was
// watched for ripeAge times the mean of ripeLeast answers. One that gives no answers is
// waited for up to pastSilence, and one that is ever slower up to pastMost.
const (
	pastSilence = 2 * time.Minute
	pastMost    = 10 * time.Minute
)

// Past is how long stable took lately: the last minute in which it answered and the one
// before. It chooses when the outcome of later requests is judged. The zero value knows
// nothing.
type Past struct {
	now, before Buckets
	turned      time.Time

	begun   time.Time
	answers int64
	took    time.Duration // by them, together
	known   bool
}

// See counts a request if it is one of stable's that was answered.
func (p *Past) See(stable string, r Request) {
	if r.Version != stable || !r.Evident() || r.Running || r.Outcome != Succeeded {
		return
	}
	p.now.Add(r.Duration)
	if !p.known {
		p.answers, p.took = p.answers+1, p.took+r.Duration
	}
}

// Turn forgets what is too old. Call it at least every minute.
func (p *Past) Turn(now time.Time) {
	if p.begun.IsZero() {
		p.begun = now
	}
	p.known = p.known || p.ripe(now.Sub(p.begun))
	if now.Sub(p.turned) < pastPart {
		return
	}
	p.turned = now
	if p.now != nil {
		p.now, p.before = nil, p.now
	}
}

func (p *Past) ripe(watched time.Duration) bool {
	if p.answers < ripeLeast {
		return watched >= pastSilence
	}
	return watched >= min(pastMost, ripeAge*p.took/time.Duration(p.answers))
}

// Age is when the outcome of a request is judged, counted from its start, under a
// parsed policy. 0: it is not known yet how long stable takes.
func (p *Past) Age(policy config.PolicySpec) time.Duration {
	if !p.known {
		return 0
	}
	return Age(p.all(), slowestOf(policy))
}

// Patience is for how long a request may wait before it is judged by that, under a parsed
// policy.
func (p *Past) Patience(policy config.PolicySpec) time.Duration {
	if !p.known {
		return 0
	}
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

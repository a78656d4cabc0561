package controller

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Snapshot is everything that is known of one inference route at a moment. It is
// a plain value; whoever has it may keep it, and changes nothing in it.
type Snapshot struct {
	At    time.Time    `json:"at"`
	State canary.State `json:"state"`
	// Route is the configuration in force.
	Route config.RouteSpec `json:"route"`
	// Refusal is why a newer configuration is not in force. Empty when it is.
	Refusal string `json:"refusal,omitempty"`

	// Conditions in a fixed order, beginning with Accepted.
	Conditions []canary.Condition `json:"conditions"`
	// Waits is what a rollout waits for, most pressing first; it answers "why does
	// nothing happen?".
	Waits []canary.Wait `json:"waits,omitempty"`
	// Remedy says what would change the verdict, in one sentence with numbers.
	Remedy string `json:"remedy,omitempty"`

	// Assessment is the last look at the evidence, of a rollout or of a shadow whose
	// answers are compared. Nil before the first one.
	Assessment *analysis.Assessment `json:"assessment,omitempty"`
	// Ruling is how far the open trip is settled. Nil without one.
	Ruling *Ruling `json:"ruling,omitempty"`

	// Proxies are connected, sorted by name.
	Proxies []string `json:"proxies"`
	// Stuck are connected, but no longer waited for.
	Stuck []string `json:"stuck,omitempty"`
	// Gap says that log entries are missing now, rollout or not.
	Gap string `json:"gap,omitempty"`
	// LogDelay is how long after a request's end its log entry comes, lately.
	LogDelay time.Duration `json:"logDelay"`
	// LogAt is when the last entry came that LogDelay rests on. Zero before the first.
	LogAt time.Time `json:"logAt,omitzero"`

	// Traces are what was seen of the last rollouts, newest first. The first is the
	// running one's, if one runs.
	Traces []canary.Trace `json:"traces,omitempty"`
	// ABTraces are what was seen of the last A/B tests, newest first: of those in the
	// state.
	ABTraces []canary.ABTrace `json:"abTraces,omitempty"`
}

// Ruling is how far a trip is settled.
type Ruling struct {
	Text      string  `json:"text"`
	N         int64   `json:"n"` // mirrored requests
	LogE      float64 `json:"logE"`
	LogNeeded float64 `json:"logNeeded"`
}

// Trace finds what was seen of a rollout by its id.
func (s Snapshot) Trace(rollout string) (canary.Trace, bool) {
	for _, t := range s.Traces {
		if t.Rollout == rollout {
			return t, true
		}
	}
	return canary.Trace{}, false
}

// Condition finds a condition by type.
func (s Snapshot) Condition(t canary.ConditionType) (canary.Condition, bool) {
	for _, c := range s.Conditions {
		if c.Type == t {
			return c, true
		}
	}
	return canary.Condition{}, false
}

// Snapshot gives everything that is known at now.
func (c *Controller) Snapshot(now time.Time) Snapshot {
	c.restate(now)
	s := Snapshot{
		At: now, State: c.state, Route: c.route, Refusal: c.refusal,
		Conditions: c.stated,
		Assessment: c.last,
		Proxies:    c.fleet.names(),
		Stuck:      c.fleet.stuck,
		Gap:        c.gap,
		LogDelay:   c.delay.mean,
		LogAt:      c.delay.at,
		ABTraces:   c.seenTests(),
	}
	if c.route.Strategy.Shadow != nil && c.state.Rollout == nil {
		s.Assessment = c.compared()
	}
	for _, t := range c.traces {
		s.Traces = append(s.Traces, t.Clone())
	}
	if c.state.Rollout == nil {
		return s
	}
	if c.state.Proxies == 0 {
		s.unserved()
	}
	s.Waits = c.state.Waits(c.assessment(), now)
	s.Remedy = remedy(c.assessment())
	if c.sense != nil && c.sense.ruling != nil {
		r := c.sense.ruling
		s.Ruling = &Ruling{Text: r.Reason, N: r.N, LogE: r.LogE, LogNeeded: r.LogNeeded}
	}
	return s
}

// unserved makes a snapshot say nowhere that the candidate is healthy: with no proxy
// connected there is nobody for whom it could be. Only what is shown changes: a proxy
// that comes back voids no review that waits for approval.
func (s *Snapshot) unserved() {
	if r := *s.State.Rollout; r.Verdict == analysis.Healthy {
		r.Verdict = analysis.Undecided
		s.State.Rollout = &r
	}
	s.Assessment = forNobody(s.Assessment)
	if len(s.Traces) > 0 && s.Traces[0].Rollout == s.State.Rollout.ID {
		s.Traces[0].Assessment = forNobody(s.Traces[0].Assessment)
	}
}

// forNobody is an assessment as it stands while no proxy is connected.
func forNobody(a *analysis.Assessment) *analysis.Assessment {
	if a == nil || a.Verdict != analysis.Healthy {
		return a
	}
	b := *a
	b.Verdict, b.Why = analysis.Undecided, analysis.Why{Kind: analysis.WhyNoProxy}
	b.Reason = "no proxy is connected; before, " + b.Reason
	return &b
}

// assessment is the last one, or an empty one that says so.
func (c *Controller) assessment() analysis.Assessment {
	if c.last == nil {
		return analysis.Assessment{Verdict: analysis.Undecided, Reason: "no window of requests was judged yet"}
	}
	return *c.last
}

// restate takes conditions anew and keeps the transition times of those whose
// status is as before.
func (c *Controller) restate(now time.Time) {
	accepted := canary.Condition{
		Type: canary.Accepted, Status: canary.True, Reason: "InForce",
		Message: "the newest configuration is in force", LastTransitionTime: now,
	}
	if kept := c.state.Kept(c.route); kept != "" {
		accepted.Message += "; " + kept
	}
	switch {
	case c.refusal != "":
		accepted.Status, accepted.Reason, accepted.Message = canary.False, "Refused", c.refusal
	case c.pending != nil && c.state.Fault != nil:
		accepted.Status, accepted.Reason, accepted.Message = canary.False, "NotSaved", c.state.Fault.Text
	}
	all := append([]canary.Condition{accepted}, canary.Conditions(c.state, c.assessment(), now)...)
	c.stated = canary.Merge(c.stated, all)
}

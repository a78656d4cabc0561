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

	// Assessment is the last look at the evidence. Nil before the first one.
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

	// Traces are what was seen of the last rollouts, newest first. The first is the
	// running one's, if one runs.
	Traces []canary.Trace `json:"traces,omitempty"`
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

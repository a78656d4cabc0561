package config

import (
	"errors"
	"strings"
	"time"
)

// ABTest divides units into arms of fixed shares, and compares the arms by what becomes
// of their units. A unit is what stickiness keeps together, such as a user; without
// stickiness every request is one. The arms keep their shares when the test has ended,
// until somebody writes another strategy: who has seen one version goes on seeing it.
type ABTest struct {
	// Arms are the share of each version. They sum to 100%; with outcomes, they are six at
	// most.
	Arms map[string]Percent `json:"arms"`
	// Reference is the arm that the others are compared with. It takes in the units of
	// an arm that has no ready endpoint, so that those of no other arm move.
	Reference string `json:"reference"`
	// Outcomes are what the arms are compared by; the first decides who wins. With
	// others than these another test begins. Default: none, and nothing is judged.
	Outcomes []ABOutcome `json:"outcomes,omitempty"`
	// Within is how long after its first request in the test what becomes of a unit
	// counts. Then the unit is counted, once. It, error, planned and endsBy are for a test
	// with outcomes. Default 1h.
	Within Duration `json:"within,omitempty"`
	// Error is the chance that the test ever states any difference that is not there: of
	// any two arms, in any outcome, at any look. Default 5%.
	Error Percent `json:"error,omitempty"`
	// Planned is about how many units an arm will have: bounds are narrowest there, and
	// hold at any number. Default 1000.
	Planned int64 `json:"planned,omitempty"`
	// EndsBy is what ends the test by itself, and with it the counting: decision, a time
	// such as 2026-12-24T18:00:00Z, or both, as "decision or 2026-12-24T18:00:00Z". Then
	// its review is written. Default: another strategy, or sluice abort.
	EndsBy EndsBy `json:"endsBy,omitzero"`
}

// ABOutcome is something that becomes of a unit.
type ABOutcome struct {
	// Name is what those who report it call it.
	Name string `json:"name"`
	Kind ABKind `json:"kind"` // how arms are compared by it
	// Better says which way is better. Default higher; of errors and slow, lower.
	Better ABDirection `json:"better,omitempty"`
	// Missing says what a unit counts as of which nothing was reported. Only of rate,
	// whose default is Zero, and mean, whose default is Ignored.
	Missing ABMissing `json:"missing,omitempty"`
	// Min is the least value of a mean; those below are refused. Default minus a billion.
	Min *float64 `json:"min,omitempty"`
	// Max is the greatest. Default a billion.
	Max *float64 `json:"max,omitempty"`
	// Limit is how long a request may take that is not slow. Required of slow.
	Limit Duration `json:"limit,omitempty"`
}

// ABKind says how arms are compared by an outcome.
type ABKind string

// Kinds of outcomes.
const (
	ABRate   ABKind = "rate"   // the share of units of which a 1 was reported, and not only 0
	ABMean   ABKind = "mean"   // the mean over units of the mean of what was reported
	ABErrors ABKind = "errors" // the share of units with a request that failed, by access logs
	ABSlow   ABKind = "slow"   // the share of units with a request that took longer than limit, by access logs
)

// Reported says whether the outcome is reported by others than the proxies.
func (o ABOutcome) Reported() bool { return o.Kind == ABRate || o.Kind == ABMean }

// ABDirection says which way is better.
type ABDirection string

// Directions.
const (
	ABHigher ABDirection = "higher"
	ABLower  ABDirection = "lower"
)

// ABMissing says what nothing counts as.
type ABMissing string

// What nothing counts as.
const (
	ABZero    ABMissing = "Zero"    // as 0 was reported: of clicks, which nobody reports who did not click
	ABIgnored ABMissing = "Ignored" // the unit is left out: of ratings and labels
)

// EndsBy is what ends an A/B test by itself, written as "decision", as a time, or as
// "decision or" a time. The zero value is nothing.
type EndsBy struct {
	Decision bool      `json:"decision"`
	Date     time.Time `json:"date"`
}

var errEndsBy = errors.New(`is not "decision", a time such as 2026-12-24T18:00:00Z, or "decision or" a time`)

const byDecision = "decision"

// String gives the form in which it is written.
func (e EndsBy) String() string {
	switch {
	case e.Date.IsZero() && !e.Decision:
		return ""
	case e.Date.IsZero():
		return byDecision
	case e.Decision:
		return byDecision + " or " + e.Date.Format(time.RFC3339)
	}
	return e.Date.Format(time.RFC3339)
}

// MarshalText gives String.
func (e EndsBy) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what String gives.
func (e *EndsBy) UnmarshalText(text []byte) error {
	rest, decision := strings.CutPrefix(string(text), byDecision)
	if rest == "" {
		*e = EndsBy{Decision: decision}
		return nil
	}
	date, and := strings.CutPrefix(rest, " or ")
	if decision != and {
		return errEndsBy
	}
	at, err := time.Parse(time.RFC3339, date)
	if err != nil || at.IsZero() {
		return errEndsBy
	}
	*e = EndsBy{Decision: decision, Date: at.UTC()}
	return nil
}

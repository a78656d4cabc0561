package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Verdict is what the evidence says of a candidate.
type Verdict string

// Verdicts. Blind freezes, never promotes and never punishes.
const (
	Undecided Verdict = "undecided" // more is needed; Assessment.Reason says what
	Healthy   Verdict = "healthy"   // every metric has its promotion evidence
	Harmful   Verdict = "harmful"   // the rollback evidence passed its threshold
	Blind     Verdict = "blind"     // signals are missing or disagree
)

// Assessment is a verdict with everything that was seen.
type Assessment struct {
	At      time.Time `json:"at"`
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason"` // one sentence with numbers
	Why     Why       `json:"why,omitzero"`

	// Hold asks for no growth without blaming the candidate: the split is not what
	// was asked for, or stable breaches its limits too.
	Hold string `json:"hold,omitempty"`

	Requests map[string]int64 `json:"requests"`          // version → evident requests in closed windows, of this rollout
	Tests    []Test           `json:"tests"`             // in a fixed order
	Answers  *Answers         `json:"answers,omitempty"` // of a shadow, where the policy compares them

	// LogE is the weighted log e-value of all rollback tests; LogNeeded is the
	// threshold, the log of 1/falseRollback without the part that settling trips may
	// spend (SettleShare).
	LogE      float64 `json:"logE"`
	LogNeeded float64 `json:"logNeeded"`
}

// Answers is how a shadow's answers compare with stable's to the same requests.
type Answers struct {
	By     config.Comparator `json:"by"`
	Pairs  int64             `json:"pairs"`  // requests whose answers were compared
	Differ int64             `json:"differ"` // of Pairs
	// Agreement is the share of pairs that do not differ, with bounds valid at every
	// look.
	Agreement Interval `json:"agreement"`
	// Noise is how often stable's second answer differed from its first. Nil where it is
	// asked once.
	Noise     *Estimate `json:"noise,omitempty"`
	Threshold string    `json:"threshold"` // as the policy wrote it
	// Proven says that all evidence on answers that promotion needs is there.
	Proven bool   `json:"proven"`
	Reason string `json:"reason"` // one sentence with numbers
	// Left counts the copied requests that were not compared, by why.
	Left     map[LeftOut]int64 `json:"left,omitempty"`
	Examples []Disagreement    `json:"examples,omitempty"` // at most KeptExamples
}

// Test is one sequential test's state.
type Test struct {
	Metric    string  `json:"metric"`            // "errors", "latency-p95", …
	Method    string  `json:"method"`            // "errors-versus-stable", "unit-errors-versus-stable", "slo", "pod-rank", "split-integrity"
	Direction string  `json:"direction"`         // "rollback", "promotion" or "integrity"
	Segment   string  `json:"segment,omitempty"` // that alone was tested; empty: all requests
	LogE      float64 `json:"logE"`              // nats
	LogNeeded float64 `json:"logNeeded"`         // nats at which this test alone decides
	Passed    bool    `json:"passed"`
	Idle      string  `json:"idle,omitempty"` // why it does not count towards rollback now, whatever its evidence

	Stable    Estimate `json:"stable"`
	Candidate Estimate `json:"candidate"`
	Ratio     Interval `json:"ratio,omitzero"` // candidate to stable: estimate and confidence bounds, valid at every look
	Threshold string   `json:"threshold"`      // as the policy wrote it
}

// Name is what was tested: a metric, of all requests or of a segment's.
func (t Test) Name() string {
	if t.Segment == "" {
		return t.Metric
	}
	return t.Metric + " of " + t.Segment
}

// Found is what a test found: "healthy", "harmful", "alarm" or "no alarm", "open", "no
// data", or "idle" and why.
func (t Test) Found() string {
	switch {
	case t.Candidate.N == 0:
		return "no data"
	case t.Direction == directionIntegrity && t.Passed:
		return "alarm"
	case t.Direction == directionIntegrity:
		return "no alarm"
	case t.Idle != "":
		return "idle: " + t.Idle
	case !t.Passed:
		return "open"
	case t.Direction == directionRollback:
		return string(Harmful)
	}
	return string(Healthy)
}

// Estimate is a rate or a latency with what it rests on.
type Estimate struct {
	N     int64   `json:"n"`     // requests or blocks
	Count int64   `json:"count"` // events among N
	Value float64 `json:"value"` // rate in [0,1], or seconds; those of Edge(LastBucket): no answer came in time
}

// Interval is an estimate with bounds. Zero High means unbounded; in JSON it is absent.
type Interval struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high,omitempty"`
}

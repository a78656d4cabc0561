package review

import (
	_ "embed" // abtest.html.tmpl is part of the binary
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

//go:embed abtest.html.tmpl
var abTestText string

// ABTest is what a review says of an A/B test instead of a change, steps and evidence.
type ABTest struct {
	Spec     config.ABTest         `json:"spec"`
	Versions []config.Version      `json:"versions"` // the arms
	Winner   string                `json:"winner,omitempty"`
	Standing analysis.ABAssessment `json:"standing"`
	Counts   analysis.ABCounts     `json:"counts"`
}

// ABFacts are what the review of an A/B test is made of.
type ABFacts struct {
	Route     config.Key
	Test      canary.ABTest
	Trace     canary.ABTrace
	Decisions []canary.Decision
}

// BuildABTest makes the review of one A/B test as it is at now. Equal facts give equal
// bytes and an equal hash.
func BuildABTest(f ABFacts, now time.Time) (Review, error) {
	r := Review{
		Schema: Schema, Route: f.Route, Rollout: f.Test.ID, At: now.UTC(),
		Decision: Decision{Cause: f.Test.Cause, Sentence: f.Test.Reason, Began: f.Test.Began, Ended: f.Test.Ended},
		ABTest: &ABTest{
			Spec: f.Test.Spec, Versions: f.Test.Versions, Winner: f.Test.Winner, Standing: f.Trace.Standing, Counts: f.Trace.Counts,
		},
	}
	if f.Test.Runs() {
		r.Decision.Sentence = f.Trace.Standing.Reason
		r.Commands = []Command{{"end it; its arms keep their shares", fmt.Sprintf("sluice abort %s --reason '…'", f.Route)}}
	}
	for _, d := range f.Decisions {
		r.add(entryOf(d))
	}
	hash, err := r.ContentHash()
	r.Hash = hash
	return r, err
}

// add files an entry of the log, and what people did.
func (r *Review) add(e Entry) {
	r.Log = append(r.Log, e)
	if e.Actor != canary.Machine {
		r.Overrides = append(r.Overrides, e)
	}
}

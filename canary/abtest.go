package canary

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// ABTest is an A/B test with outcomes: one that runs, or one that has ended. Its spec
// does not change under it, but for when it ends by itself.
type ABTest struct {
	ID         string             `json:"id"` // abtest-n, unique within the route
	Spec       config.ABTest      `json:"spec"`
	Stickiness *config.Stickiness `json:"stickiness,omitempty"`
	Versions   []config.Version   `json:"versions"` // its arms, as they were when it began
	Began      time.Time          `json:"began"`
	Ended      time.Time          `json:"ended,omitzero"` // zero while it runs
	Cause      Cause              `json:"cause,omitempty"`
	Winner     string             `json:"winner,omitempty"` // that ended it
	Reason     string             `json:"reason,omitempty"` // why it ended, one sentence
	// Left says that the configuration asked for something else since: what it asks for
	// now is another test, be it equal.
	Left bool `json:"left,omitempty"`
}

// Causes of the end of an A/B test, beside CauseEvidence and CauseAborted.
const (
	CauseDate   Cause = "Date"            // endsBy
	CauseEdited Cause = "StrategyChanged" // the configuration asks for something else
)

// Runs says whether it has not ended.
func (t ABTest) Runs() bool { return t.Ended.IsZero() }

// Over says whether a test ends by itself at now, and why: its date has come, or a winner
// is sure, who is empty where none is.
func (t ABTest) Over(now time.Time, winner string) (Cause, bool) {
	switch ends := t.Spec.EndsBy; {
	case !ends.Date.IsZero() && !now.Before(ends.Date):
		return CauseDate, true
	case ends.Decision && winner != "":
		return CauseEvidence, true
	}
	return "", false
}

// Concluded says that an A/B test has decided, or that its time is over: with a winner,
// or without.
type Concluded struct {
	At     time.Time `json:"at"`
	Test   string    `json:"test"` // id
	Winner string    `json:"winner,omitempty"`
	Reason string    `json:"reason"` // one sentence with numbers
}

// RunningTest is the A/B test that runs; nil if none.
func (s State) RunningTest() *ABTest {
	if len(s.ABTests) == 0 || !s.ABTests[0].Runs() {
		return nil
	}
	return &s.ABTests[0]
}

// AskedTest is the A/B test that the configuration asks for, be it over; nil if none.
func (s State) AskedTest() *ABTest {
	if len(s.ABTests) == 0 || s.ABTests[0].Left {
		return nil
	}
	return &s.ABTests[0]
}

// ABTest finds an A/B test by its id; nil if it is none of the last.
func (s State) ABTest(id string) *ABTest {
	for i := range s.ABTests {
		if s.ABTests[i].ID == id {
			return &s.ABTests[i]
		}
	}
	return nil
}

// followTest begins the A/B test that the configuration asks for, and ends one that it
// no longer does.
func (m *machine) followTest() {
	asked := m.configuredTest()
	if len(m.ABTests) > 0 {
		last := &m.ABTests[0]
		if asked != nil && !last.Left && last.same(*asked) {
			if last.Runs() {
				last.Spec.EndsBy = asked.Spec.EndsBy
			}
			return
		}
		last.Left = true
		if last.Runs() {
			m.endTest(CauseEdited, "", "the configuration asks for something else")
		}
	}
	if asked == nil {
		return
	}
	m.begun = &Origin{State: m.before.clone(), Route: m.route}
	m.Rollouts++
	asked.ID, asked.Began = fmt.Sprintf("abtest-%d", m.Rollouts), m.now
	m.ABTests = append([]ABTest{*asked}, m.ABTests...)
	m.ABTests = m.ABTests[:min(len(m.ABTests), KeptHistory)]
	m.sayf("A/B test %s begins: %d arms, %s is the reference", asked.ID, len(asked.Versions), asked.Spec.Reference)
	m.notifyOf(asked.ID, NoticeBegan)
}

// configuredTest is the A/B test that is configured, without an id; nil if none.
func (m *machine) configuredTest() *ABTest {
	spec := m.route.Strategy.ABTest
	if spec == nil || len(spec.Outcomes) == 0 {
		return nil
	}
	asked := &ABTest{Spec: *spec, Stickiness: m.route.Stickiness}
	for _, arm := range slices.Sorted(maps.Keys(spec.Arms)) {
		if v, ok := m.route.Version(arm); ok {
			asked.Versions = append(asked.Versions, v)
		}
	}
	return asked
}

// same says whether what is asked for is this test: of the same arms, with the same
// outcomes. When it ends by itself may change while it runs.
func (t ABTest) same(asked ABTest) bool {
	if t.Runs() {
		t.Spec.EndsBy = asked.Spec.EndsBy
	}
	alike := func(a, b config.Version) bool {
		return a.Name == b.Name && sameModel(a.Model, b.Model) && overlap(a.Endpoints, b.Endpoints)
	}
	return reflect.DeepEqual(t.Spec, asked.Spec) && sameUnits(t.Stickiness, asked.Stickiness) && slices.EqualFunc(t.Versions, asked.Versions, alike)
}

// concludeTest ends a test that decided, if it was to end so, or whose time is over.
func (m *machine) concludeTest(e Concluded) {
	t := m.RunningTest()
	if t == nil || t.ID != e.Test {
		return
	}
	if cause, over := t.Over(m.now, e.Winner); over {
		m.endTest(cause, e.Winner, e.Reason)
	}
}

// abortIdle ends an A/B test by hand. Its arms keep their shares.
func (m *machine) abortIdle(e Aborted) {
	if m.RunningTest() == nil {
		m.refuseIdle(e)
		return
	}
	m.endTest(CauseAborted, "", fmt.Sprintf("ended by %s: %s", e.Actor, e.Reason))
}

// endTest ends the counting. Shares stay as they are written.
func (m *machine) endTest(cause Cause, winner, why string) {
	t := m.RunningTest()
	t.Ended, t.Cause, t.Winner, t.Reason = m.now, cause, winner, why
	m.sayf("A/B test %s ends (%s): %s", t.ID, cause, why)
	m.notifyOf(t.ID, NoticeEnded)
}

// testOf is the id of the A/B test that a decision concerns, where it concerns no
// rollout; empty if none.
func (m *machine) testOf() string {
	if t := m.before.RunningTest(); t != nil {
		return t.ID
	}
	if t := m.RunningTest(); t != nil {
		return t.ID
	}
	return ""
}

// ABTrace is what was seen of one A/B test.
type ABTrace struct {
	Test     string                `json:"test"` // id
	Standing analysis.ABAssessment `json:"standing"`
	Counts   analysis.ABCounts     `json:"counts"`
}

// KeptABTest is what is saved of the A/B test that runs.
type KeptABTest struct {
	ID string `json:"id"`
	analysis.ABSaved
}

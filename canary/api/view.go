package api

import (
	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// View is a snapshot as it is sent, with what its reader would otherwise have
// to work out again.
type View struct {
	controller.Snapshot

	// Standing is where it stands, in one sentence.
	Standing string `json:"standing"`
	// Tests are those of Assessment, as they are shown.
	Tests []TestView `json:"tests"`
	// Progress of the weight step or of baking. Nil where neither is.
	Progress *canary.Progress `json:"progress,omitempty"`
	// Reach of the candidate's share. Nil between rollouts.
	Reach *canary.Reach `json:"reach,omitempty"`
	// ABTest is the A/B test that the configuration asks for, be it over. Nil if none.
	ABTest *ABView `json:"abTest,omitempty"`
	// Verbs that are not refused out of hand now, in the order of Verbs.
	Verbs []string `json:"verbs"`
}

// TestView is a test as it is shown, with what it saw of both arms in words.
type TestView struct {
	analysis.Test

	Name      string `json:"name"`
	Found     string `json:"found"`
	Stable    string `json:"stable"`
	Candidate string `json:"candidate"`
}

// ABView is an A/B test as it is shown.
type ABView struct {
	canary.ABTest

	// Outcomes in the order of the test.
	Outcomes []ABOutcomeView `json:"outcomes"`
	// Verdicts of every arm but the reference.
	Verdicts []analysis.ABVerdict `json:"verdicts"`
	// Counts is where outcomes and units went, in one sentence.
	Counts string `json:"counts"`
}

// ABOutcomeView is one outcome of every arm, the reference first.
type ABOutcomeView struct {
	config.ABOutcome

	Arms []analysis.ABComparison `json:"arms"`
}

// abViewOf is nil where no A/B test is asked for.
func abViewOf(s controller.Snapshot) *ABView {
	test, seen, ok := s.ABTest()
	if !ok {
		return nil
	}
	view := &ABView{ABTest: test, Verdicts: seen.Standing.Verdicts, Counts: seen.Counts.String()}
	for _, o := range test.Spec.Outcomes {
		view.Outcomes = append(view.Outcomes, ABOutcomeView{ABOutcome: o, Arms: seen.Standing.Compared(o.Name)})
	}
	return view
}

func testViewsOf(tests []analysis.Test) []TestView {
	views := make([]TestView, 0, len(tests))
	for _, t := range tests {
		views = append(views, TestView{
			Test: t, Name: t.Name(), Found: t.Found(), Stable: t.Stable.Text(t.Method), Candidate: t.Candidate.Text(t.Method),
		})
	}
	return views
}

// viewOf adds to a snapshot.
func viewOf(s controller.Snapshot) View {
	view := View{Snapshot: s, Standing: s.Standing(), ABTest: abViewOf(s), Verbs: offered(s)}
	var a analysis.Assessment
	if s.Assessment != nil {
		a = *s.Assessment
	}
	view.Tests = testViewsOf(a.Tests)
	if p, ok := s.State.Progress(a, s.At); ok {
		view.Progress = &p
	}
	var trace canary.Trace
	if r := s.State.Rollout; r != nil {
		trace, _ = s.Trace(r.ID)
	}
	if reach, ok := s.State.Reach(trace); ok {
		view.Reach = &reach
	}
	return view
}

func viewsOf(list []controller.Snapshot) []View {
	views := make([]View, 0, len(list))
	for _, s := range list {
		views = append(views, viewOf(s))
	}
	return views
}

// offered lists the verbs that the machine has a use for now. Others are taken all the
// same, and refused with a reason. Without a canary, weights are written by hand: only
// an A/B test may be ended.
func offered(s controller.Snapshot) []string {
	names := []string{}
	byHand := s.Route.Strategy.Canary == nil && s.State.Rollout == nil
	for _, name := range Verbs() {
		if s.State.Takes(kindOf(name)) && (!byHand || name == "abort") {
			names = append(names, name)
		}
	}
	return names
}

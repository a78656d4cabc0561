package api

import (
	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// View is a snapshot as it is sent, with what its reader would otherwise have
// to work out again.
type View struct {
	controller.Snapshot

	// Progress of the weight step or of baking. Nil where neither is.
	Progress *canary.Progress `json:"progress,omitempty"`
	// Reach of the candidate's share. Nil between rollouts.
	Reach *canary.Reach `json:"reach,omitempty"`
	// Verbs that are not refused out of hand now, in the order of Verbs.
	Verbs []string `json:"verbs"`
}

// viewOf adds to a snapshot.
func viewOf(s controller.Snapshot) View {
	view := View{Snapshot: s, Verbs: offered(s)}
	var a analysis.Assessment
	if s.Assessment != nil {
		a = *s.Assessment
	}
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

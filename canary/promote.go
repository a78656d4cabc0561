package canary

import (
	"fmt"
	"slices"

	"github.com/sluice-dev/sluice/analysis"
)

// promoteStep skips what is left of the present step, or, with Full, all steps.
func (m *machine) promoteStep(e Promoted) {
	r := m.Rollout
	last := r.Step+1 == len(r.Steps)
	switch {
	case e.Full:
		m.promoteFull(e)
	case m.barred(e):
	case last && r.Verdict != analysis.Healthy && !e.OverrideEvidence:
		m.refusef("this is the last step and the verdict is %s (%s); --full with --override-evidence promotes all the same",
			r.Verdict, m.standing(e.Evidence))
	case last:
		m.override(e)
	default:
		m.sayf("%s skips the rest of step %d: %s", e.Actor, r.Step+1, e.Reason)
		if r.Blind != nil {
			r.Blind.Forced = m.now
		}
		m.enter(r.Step + 1)
	}
}

// barred refuses what would grow while something freezes growth. Force breaks
// all but a candidate without an endpoint.
func (m *machine) barred(e Promoted) bool {
	r := m.Rollout
	freezes := m.freezes(m.now)
	const forced = "%s; --force goes on all the same"
	switch i := slices.IndexFunc(freezes, func(w Wait) bool { return w.Reason == WaitReady }); {
	case i >= 0:
		m.refusef("%s", freezes[i].Text)
	case m.Ready[r.Candidate] == 0:
		m.refusef("%s has no ready endpoint", r.Candidate)
	case e.Force:
	case len(freezes) > 0:
		m.refusef(forced, freezes[0].Text)
	case r.Doubt != "":
		m.refusef(forced, r.Doubt)
	case r.Phase == Tripped:
		m.refusef(forced, r.stand())
	}
	return m.refusal != ""
}

// promoteFull skips all remaining steps and gates.
func (m *machine) promoteFull(e Promoted) {
	r := m.Rollout
	switch {
	case m.barred(e):
	case r.Verdict != analysis.Healthy && !e.OverrideEvidence:
		m.refusef("the verdict is %s (%s); --override-evidence promotes all the same", r.Verdict, m.standing(e.Evidence))
	default:
		m.override(e)
	}
}

// override promotes by request, and marks the review where evidence was missing
// or forced aside.
func (m *machine) override(e Promoted) {
	r := m.Rollout
	cause := CauseEvidence
	if r.Verdict != analysis.Healthy || e.Force {
		cause, r.Overridden = CauseOverride, true
	}
	r.Hold, r.Blind = nil, nil
	m.closeTrip(TripResumed, "promoted by "+e.Actor)
	m.promote(cause, fmt.Sprintf("promoted by %s at verdict %s: %s", e.Actor, r.Verdict, e.Reason))
}

// promoteGate does not answer for whoever approves.
func (m *machine) promoteGate(e Promoted) {
	if e.Full {
		m.promoteFull(e)
		return
	}
	g := m.Rollout.Gate
	m.refusef("review %d waits for approval; approve names its hash, %s", g.Number, g.Hash)
}

func (m *machine) promoteWaiting(e Promoted) {
	if e.Full {
		m.promoteFull(e)
		return
	}
	m.start()
	if len(m.said) > 0 {
		return
	}
	m.refusef("%s", m.freezes(m.now)[0].Text)
}

func (m *machine) promoteTripped(e Promoted) {
	if e.Full {
		m.promoteFull(e)
		return
	}
	m.refusef("%s; resume goes back to the first step", m.Rollout.stand())
}

// promoteBake ends baking early.
func (m *machine) promoteBake(e Promoted) {
	if !m.barred(e) {
		m.end(OutcomePromoted, CauseEvidence, fmt.Sprintf("baking was ended by %s: %s", e.Actor, e.Reason))
	}
}

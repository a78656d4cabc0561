package canary

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Condition is one thing that holds or does not, in Kubernetes' form.
type Condition struct {
	Type    ConditionType   `json:"type"`
	Status  ConditionStatus `json:"status"`
	Reason  string          `json:"reason"`  // one CamelCase word
	Message string          `json:"message"` // one sentence with numbers
	// LastTransitionTime is when Status became so; Merge keeps it.
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

// ConditionType names a condition.
type ConditionType string

// Condition types. Reconciling and Stalled are what kstatus reads.
const (
	Accepted    ConditionType = "Accepted"    // the newest configuration is in force
	Ready       ConditionType = "Ready"       // users are served as the split says
	Progressing ConditionType = "Progressing" // a rollout goes on by itself
	Reconciling ConditionType = "Reconciling" // what is asked for is not in force yet
	Stalled     ConditionType = "Stalled"     // what is asked for waits for somebody to mend it; no gate, and no person's hold
	RolledBack  ConditionType = "RolledBack"  // the asked target was tried and left
)

// ConditionStatus is True, False or Unknown.
type ConditionStatus string

// Condition statuses.
const (
	True    ConditionStatus = "True"
	False   ConditionStatus = "False"
	Unknown ConditionStatus = "Unknown"
)

// Conditions derives all conditions but Accepted, in a fixed order, with At as
// the transition time of all.
func Conditions(s State, a analysis.Assessment, now time.Time) []Condition {
	conditions := []Condition{
		s.ready(),
		s.progressing(a, now),
		s.reconciling(),
		s.stalled(a, now),
		s.rolledBack(),
	}
	for i := range conditions {
		conditions[i].LastTransitionTime = now
	}
	return conditions
}

// Merge keeps the transition times of conditions whose status is as before.
func Merge(before, now []Condition) []Condition {
	merged := make([]Condition, len(now))
	for i, c := range now {
		for _, b := range before {
			if b.Type == c.Type && b.Status == c.Status {
				c.LastTransitionTime = b.LastTransitionTime
			}
		}
		merged[i] = c
	}
	return merged
}

func condition(t ConditionType, s ConditionStatus, reason, format string, args ...any) Condition {
	return Condition{Type: t, Status: s, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func (s State) ready() Condition {
	switch {
	case s.Nack != nil:
		return condition(Ready, False, "Refused", "%s refused epoch %d and keeps what it had: %s", s.Nack.Proxy, s.Nack.Epoch, s.Nack.Text)
	case s.Proxies == 0:
		return condition(Ready, Unknown, "NoProxy", "no proxy is connected")
	case s.Stable != "" && s.known(s.Stable, 0):
		return condition(Ready, False, "NoReadyEndpoint", "%s is stable and has no ready endpoint", s.Stable)
	}
	return condition(Ready, True, "Serving", "%s connected; epoch %d was acknowledged", proxies(s.Proxies), s.Acked)
}

func (s State) progressing(a analysis.Assessment, now time.Time) Condition {
	r := s.Rollout
	if r == nil {
		return condition(Progressing, False, "Idle", "no rollout is running")
	}
	waits := s.Waits(a, now)
	if len(waits) == 0 {
		return condition(Progressing, True, string(r.Phase), "rollout %s goes on", r.ID)
	}
	if i := slices.IndexFunc(waits, s.halts); i >= 0 {
		return condition(Progressing, False, string(waits[i].Reason), "%s", waits[i].Text)
	}
	return condition(Progressing, True, string(waits[0].Reason), "%s", waits[0].Text)
}

// halts says whether nothing but a person, or a repair, ends a wait.
func (s State) halts(w Wait) bool {
	switch w.Reason {
	case WaitHeld, WaitNack, WaitFault, WaitApproval:
		return true
	case WaitTrip:
		return s.Rollout.OpenTrip() == nil
	case WaitBlind, WaitReady, WaitStable, WaitDoubt, WaitAck, WaitTime, WaitRequests, WaitAnswers, WaitEvidence:
	}
	return false
}

// planned says whether a wait that stops a rollout is what somebody asked for. Tools that read kstatus take
// Stalled for a failure, and a pause is none.
func (s State) planned(w Wait) bool {
	return w.Reason == WaitApproval || w.Reason == WaitHeld && s.Rollout.Hold.Actor != Machine
}

func (s State) reconciling() Condition {
	switch {
	case s.Rollout != nil:
		r := s.Rollout
		return condition(Reconciling, True, string(r.Phase), "rollout %s is at step %d of %d", r.ID, r.Step+1, len(r.Steps))
	case s.Published.Epoch != s.Acked:
		return condition(Reconciling, True, "NotAcknowledged", "epoch %d is not acknowledged by every connected proxy", s.Published.Epoch)
	}
	return condition(Reconciling, False, "InForce", "epoch %d is in force", s.Acked)
}

func (s State) stalled(a analysis.Assessment, now time.Time) Condition {
	if s.Rollout == nil {
		switch {
		case s.Nack != nil:
			return condition(Stalled, True, string(WaitNack), "%s refused epoch %d: %s", s.Nack.Proxy, s.Nack.Epoch, s.Nack.Text)
		case s.Fault != nil:
			return condition(Stalled, True, string(WaitFault), "the state is not saved: %s", s.Fault.Text)
		}
		if c := s.rolledBack(); c.Status == True {
			return condition(Stalled, True, string(RolledBack),
				"%s is not tried again by itself: raise spec.attempt, retry, or write another target", s.Asked.Target)
		}
		return condition(Stalled, False, "Idle", "no rollout is running")
	}
	waits := slices.DeleteFunc(s.Waits(a, now), func(w Wait) bool { return !s.halts(w) })
	if i := slices.IndexFunc(waits, func(w Wait) bool { return !s.planned(w) }); i >= 0 {
		return condition(Stalled, True, string(waits[i].Reason), "%s", waits[i].Text)
	}
	if len(waits) > 0 {
		return condition(Stalled, False, string(waits[0].Reason), "rollout %s waits as it was asked to", s.Rollout.ID)
	}
	return condition(Stalled, False, string(s.Rollout.Phase), "rollout %s goes on by itself", s.Rollout.ID)
}

// rolledBack is about the target that is asked for: it was tried and left.
func (s State) rolledBack() Condition {
	switch {
	case s.Rollout != nil:
		return condition(RolledBack, False, "Trying", "rollout %s is running", s.Rollout.ID)
	case len(s.History) == 0:
		return condition(RolledBack, False, "NotTried", "no rollout of the target was rolled back")
	}
	f := s.History[0]
	if f.Try != s.Asked && s.Asked.Target != s.Stable && slices.Contains(s.Rejections, s.Asked) {
		return condition(RolledBack, True, "Rejected",
			"%s was rolled back at attempt %d before and is not tried again by itself: raise spec.attempt, or retry",
			s.Asked.Target, s.Asked.Attempt)
	}
	if f.Outcome != OutcomeRolledBack || f.Try.Target != s.Asked.Target {
		return condition(RolledBack, False, "NotTried", "the last rollout, %s, ended %s", f.ID, f.Outcome.Words())
	}
	return condition(RolledBack, True, string(f.Cause), "%s, and back to %s (%s)", f.Reason, f.Stable, f.ConfirmedText())
}

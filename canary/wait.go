package canary

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Wait is one thing that growth waits for.
type Wait struct {
	Reason WaitReason `json:"reason"`
	Text   string     `json:"text"` // one sentence with numbers
}

// WaitReason is one CamelCase word; conditions use it as their reason.
type WaitReason string

// What growth waits for.
const (
	WaitHeld     WaitReason = "Held"
	WaitFault    WaitReason = "NotSaved"
	WaitBlind    WaitReason = "Blind"
	WaitNack     WaitReason = "Refused"
	WaitReady    WaitReason = "NoReadyEndpoint"
	WaitStable   WaitReason = "StableNotReady"
	WaitTrip     WaitReason = "Tripped"
	WaitApproval WaitReason = "ApprovalNeeded"
	WaitDoubt    WaitReason = "Doubt"
	WaitAck      WaitReason = "NotAcknowledged"
	WaitTime     WaitReason = "LeastTime"
	WaitRequests WaitReason = "Requests"
	WaitAnswers  WaitReason = "Answers"
	WaitEvidence WaitReason = "Evidence"
)

// Waits lists everything that the rollout waits for before it goes on, most
// pressing first. Empty means that the next look goes on; nil without a rollout.
func (s State) Waits(a analysis.Assessment, now time.Time) []Wait {
	r := s.Rollout
	if r == nil {
		return nil
	}
	waits := s.told(a).freezes(now)
	switch r.Phase {
	case Idle, Waiting:
	case Tripped:
		waits = append(waits, r.waitTrip()...)
	case Approving:
		waits = append(waits, Wait{WaitApproval, fmt.Sprintf("review %d (%s) waits for approval since %s",
			r.Gate.Number, r.Gate.Hash, clock(r.Gate.At))})
	case Stepping:
		waits = append(waits, s.waitAck()...)
		waits = append(waits, r.waitStep(a, now)...)
	case Baking:
		waits = append(waits, s.waitAck()...)
		waits = append(waits, r.waitTime("baking", r.Bake.D(), now)...)
	}
	return waits
}

// told has why it is blind from the last look: the state keeps how it began.
func (s State) told(a analysis.Assessment) State {
	if s.Rollout.Blind == nil || a.Verdict != analysis.Blind {
		return s
	}
	r, blind := *s.Rollout, *s.Rollout.Blind
	blind.Reason, r.Blind = a.Reason, &blind
	s.Rollout = &r
	return s
}

// freezes lists what stops any growth, whatever the phase.
func (s State) freezes(now time.Time) []Wait {
	waits := s.stops(now)
	if u := s.Rollout.Unready; u != nil {
		waits = append(waits, Wait{WaitReady, fmt.Sprintf("%s has had no ready endpoint for %s (%s)",
			s.Rollout.Candidate, span(now, u.Since), u.Fact)})
	}
	if s.standsIn() {
		waits = append(waits, Wait{WaitStable, fmt.Sprintf("stable %s has no ready endpoint (%s); %s stands in for it",
			s.Rollout.Stable, cmp.Or(s.Facts[s.Rollout.Stable], "no reason is known"), s.Rollout.Candidate)})
	}
	return waits
}

// stops is freezes but for the endpoints.
func (s State) stops(now time.Time) []Wait {
	var waits []Wait
	r := s.Rollout
	if h := r.Hold; h != nil {
		waits = append(waits, Wait{WaitHeld, fmt.Sprintf("held since %s by %s: %s", clock(h.Since), h.Actor, h.Reason)})
	}
	if f := s.Fault; f != nil {
		waits = append(waits, Wait{WaitFault, fmt.Sprintf("the state has not been saved for %s: %s", span(now, f.Since), f.Text)})
	}
	if b := r.Blind; b != nil {
		waits = append(waits, Wait{WaitBlind, fmt.Sprintf("blind for %s: %s", span(now, b.Since), b.Reason)})
	}
	if n := s.Nack; n != nil {
		waits = append(waits, Wait{WaitNack, fmt.Sprintf("%s refused epoch %d: %s", n.Proxy, n.Epoch, n.Text)})
	}
	return waits
}

// waitTrip says what a trip waits for.
func (r *Rollout) waitTrip() []Wait {
	trip := r.Trips[len(r.Trips)-1]
	switch {
	case trip.Outcome == TripOpen:
		return []Wait{{WaitTrip, fmt.Sprintf("trip %d of at most %d is being settled until %s: %s",
			trip.Number, r.Policy.Trip.Limit, clock(trip.Until), trip.Reason)}}
	case r.resumable():
		return nil
	default:
		return []Wait{{WaitTrip, fmt.Sprintf("trip %d was not settled (%s): resume or abort decides", trip.Number, trip.Text)}}
	}
}

// waitAck says whether the proxies have the split in force.
func (s State) waitAck() []Wait {
	switch {
	case s.Proxies == 0:
		return []Wait{{WaitAck, "no proxy is connected"}}
	case s.Rollout.Clock.IsZero():
		return []Wait{{WaitAck, fmt.Sprintf("the split of epoch %d is not acknowledged by every connected proxy", s.Published.Epoch)}}
	}
	return nil
}

// waitStep says what a weight step waits for, once it is in force.
func (r *Rollout) waitStep(a analysis.Assessment, now time.Time) []Wait {
	var waits []Wait
	if a.Hold != "" {
		waits = append(waits, Wait{WaitDoubt, a.Hold})
	}
	name := fmt.Sprintf("step %d of %d", r.Step+1, len(r.Steps))
	waits = append(waits, r.waitTime(name, r.leastTime(), now)...)
	if got, least := r.counted(a), r.leastRequests(); got < least {
		waits = append(waits, Wait{WaitRequests, fmt.Sprintf("%s has seen %d of at least %d requests to %s", name, got, least, r.Candidate)})
	}
	waits = append(waits, r.waitAnswers(name, a)...)
	if r.Step+1 == len(r.Steps) && r.Verdict != analysis.Healthy {
		waits = append(waits, Wait{WaitEvidence, fmt.Sprintf("promotion waits for evidence: %s", a.Reason)})
	}
	return waits
}

// waitAnswers says whether a shadow step has not compared enough answers yet, where the
// policy asks for it: no later step compares any.
func (r *Rollout) waitAnswers(name string, a analysis.Assessment) []Wait {
	if _, compared := r.Policy.Answers(); !compared || r.Steps[r.Step].Shadow == 0 || a.Answers != nil && a.Answers.Proven {
		return nil
	}
	told := "no answer was compared yet"
	if a.Answers != nil {
		told = a.Answers.Reason
	}
	if r.Mirroring != config.MirroringAllowed {
		told += "; mirroring is forbidden now, so none will be"
	}
	return []Wait{{WaitAnswers, fmt.Sprintf("%s waits for the shadow's answers to be like stable's: %s", name, told)}}
}

// waitTime says whether something has lasted long enough since its clock started.
func (r *Rollout) waitTime(name string, least time.Duration, now time.Time) []Wait {
	if r.Clock.IsZero() || now.Sub(r.Clock) >= least {
		return nil
	}
	return []Wait{{WaitTime, fmt.Sprintf("%s has lasted %s of at least %s", name, span(now, r.Clock), least)}}
}

// leastTime of the present step; a gate that was opened has none.
func (r *Rollout) leastTime() time.Duration {
	step := r.Steps[r.Step]
	switch {
	case step.Approve != nil:
		return 0
	case step.For > 0:
		return step.For.D()
	default:
		return r.Policy.Limits.MinStep.D()
	}
}

// leastRequests of the present step.
func (r *Rollout) leastRequests() int64 {
	if step := r.Steps[r.Step]; step.Approve != nil || step.Shadow > 0 {
		return 0
	}
	return r.Policy.Limits.MinRequestsPerStep
}

// counted is the number of candidate requests in this step.
func (r *Rollout) counted(a analysis.Assessment) int64 {
	if r.Base == Uncounted {
		return 0
	}
	return max(0, a.Requests[r.Candidate]-r.Base)
}

// span writes how long ago something was, to the tenth of a second.
func span(now, since time.Time) time.Duration {
	return max(0, now.Sub(since)).Round(100 * time.Millisecond)
}

// clock writes a time of day.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

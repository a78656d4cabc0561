package canary

import (
	"fmt"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// abort ends the current rollout. It is decided before anything else could be:
// nothing can hold it, and in this step the candidate has weight 0.
func (m *machine) abort(e Aborted) {
	m.end(OutcomeRolledBack, CauseAborted, fmt.Sprintf("aborted by %s: %s", e.Actor, e.Reason))
}

func (m *machine) hold(e Held) {
	r := m.Rollout
	if r.Hold != nil {
		m.refusef("already held since %s by %s: %s", clock(r.Hold.Since), r.Hold.Actor, r.Hold.Reason)
		return
	}
	r.Hold = &Hold{Since: m.now, Actor: e.Actor, Reason: e.Reason}
	m.sayf("held by %s: %s", e.Actor, e.Reason)
	m.notify(NoticeHeld)
}

func (m *machine) resume(e Resumed) {
	if m.Rollout.Hold == nil {
		m.refusef("rollout %s is not held", m.Rollout.ID)
		return
	}
	m.release(e)
}

// release ends a hold. Time held does not count against the rollout; a rollout
// held for being undecided gets its whole time again.
func (m *machine) release(e Resumed) {
	r := m.Rollout
	switch {
	case r.Hold.Actor == Machine:
		r.Deadline = m.now.Add(r.Policy.Limits.MaxDuration.D())
	case r.Phase != Approving: // all time at a gate is free
		r.Deadline = r.Deadline.Add(m.now.Sub(r.Hold.Since))
	}
	m.sayf("resumed by %s after %s: %s", e.Actor, span(m.now, r.Hold.Since), e.Reason)
	r.Hold = nil
}

// resumeTripped ends a hold, or decides a trip that nothing settled: back to the
// first step.
func (m *machine) resumeTripped(e Resumed) {
	r := m.Rollout
	last := &r.Trips[len(r.Trips)-1]
	if r.Hold == nil && last.Outcome != TripExpired {
		m.refusef("%s", r.stand())
		return
	}
	if r.Hold != nil {
		m.release(e)
	}
	if last.Outcome == TripExpired {
		last.Outcome, last.Ended, last.Text = TripResumed, m.now, fmt.Sprintf("resumed by %s: %s", e.Actor, e.Reason)
		m.sayf("trip %d is dismissed by %s", last.Number, e.Actor)
	}
}

// stand says what a tripped rollout is doing.
func (r *Rollout) stand() string {
	if waits := r.waitTrip(); len(waits) > 0 {
		return waits[0].Text
	}
	return fmt.Sprintf("rollout %s resumes by itself", r.ID)
}

// revert leaves the current rollout.
func (m *machine) revert(e Reverted) {
	m.end(OutcomeRolledBack, CauseReverted, fmt.Sprintf("rolled back by %s: %s", e.Actor, e.Reason))
}

// revertBake leaves a promoted version for the old stable, which is kept.
func (m *machine) revertBake(e Reverted) {
	if old := m.Rollout.Stable; m.known(old, 0) && !e.Force {
		m.refusef("%s has no ready endpoint; --force goes back to it all the same", old)
		return
	}
	m.revert(e)
}

// revertIdle leaves the stable version for the one before it.
func (m *machine) revertIdle(e Reverted) {
	if m.route.Strategy.Canary == nil {
		m.refusef("the strategy is %[1]s: its shares are written in spec.strategy.%[1]s", m.route.Strategy.Name())
		return
	}
	i := slices.IndexFunc(m.Formers, func(f Former) bool { return m.unchanged(f.Version) })
	if i < 0 {
		m.refusef("no version was stable before %s that is still configured as it was", m.Stable)
		return
	}
	former := m.Formers[i].Version.Name
	if m.known(former, 0) && !e.Force {
		m.refusef("%s has no ready endpoint; --force goes back to it all the same", former)
		return
	}
	m.leaveStable(former, e)
	m.dropFormers(i + 1)
}

// leaveStable files the way back as a rollout that ended at once.
func (m *machine) leaveStable(former string, e Reverted) {
	left := m.Stable
	m.Rollouts++
	r := Rollout{
		ID:        fmt.Sprintf("%s-%d", left, m.Rollouts),
		Stable:    former,
		Candidate: left,
		Try:       Try{Target: left},
		Policy:    m.Policy,
		Mirroring: config.MirroringForbidden,
		Phase:     Idle,
		Began:     m.now,
		Since:     m.now,
	}
	if m.Asked.Target == left {
		r.Try = m.Asked
		m.reject(r.Try)
	}
	why := fmt.Sprintf("rolled back by %s: %s", e.Actor, e.Reason)
	m.Stable, m.free = former, true
	m.file(Finished{Rollout: r, Outcome: OutcomeRolledBack, Cause: CauseReverted, Reason: why, Ended: m.now})
	m.sayf("back from %s to %s: %s", left, former, why)
	m.notify(NoticeEnded)
}

// retry tries a rejected target again.
func (m *machine) retry(e Retried) {
	switch {
	case m.route.Strategy.Canary == nil:
		m.refusef("the strategy is %s: there is no rollout to retry", m.route.Strategy.Name())
	case m.Asked.Target == "" || m.Asked.Target == m.Stable:
		m.refusef("the target %s is stable: there is nothing to retry", m.Stable)
	case !slices.Contains(m.Rejections, m.Asked):
		m.refusef("%s was not rejected at attempt %d", m.Asked.Target, m.Asked.Attempt)
	default:
		m.Asked.Retry++
		m.sayf("%s asks for retry %d of %s: %s", e.Actor, m.Asked.Retry, m.Asked.Target, e.Reason)
		m.begin()
	}
}

func (m *machine) refuseIdle(verb) {
	if m.route.Strategy.Canary == nil {
		m.refusef("the strategy is %s: there is no rollout", m.route.Strategy.Name())
		return
	}
	m.refusef("no rollout is running; %s is stable", m.Stable)
}

func (m *machine) refuseNoGate(verb) {
	r := m.Rollout
	m.refusef("rollout %s waits for no approval: it is %s at step %d", r.ID, r.Phase, r.Step+1)
}

func (m *machine) refuseRunning(verb) {
	m.refusef("rollout %s is running: abort it before a retry", m.Rollout.ID)
}

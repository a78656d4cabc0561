package canary

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// trip takes the candidate's share away at once, reversibly. From baking, the
// old stable is trusted again.
func (m *machine) trip(e Suspected) {
	r := m.Rollout
	share := r.weightAt(r.Step)
	if r.Phase == Baking {
		share, m.Stable = config.WholeSplit, r.Stable
	}
	if share == 0 {
		return // nothing to take away, and no share to mirror
	}
	policy := r.Policy.Trip
	r.Trips = append(r.Trips, Trip{
		Number:  len(r.Trips) + 1,
		At:      m.now,
		Reason:  e.Reason,
		Share:   share,
		Step:    r.Step,
		Outcome: TripOpen,
		Until:   m.now.Add(policy.Settle.D()),
	})
	r.Phase, r.Since, r.Clock, r.Gate = Tripped, m.now, time.Time{}, nil
	m.sayf("trip %d of at most %d: %s", len(r.Trips), policy.Limit, e.Reason)
	m.notify(NoticeTripped)
	switch {
	case len(r.Trips) >= policy.Limit:
		m.closeTrip(TripFinal, "the limit of trips is reached")
		m.end(OutcomeRolledBack, CauseTripLimit, e.Reason)
	case r.Mirroring != config.MirroringAllowed && policy.OnTrip != config.FallbackRetry:
		m.unsettled("mirroring is forbidden")
	}
}

// closeTrip ends the open trip, if one is.
func (m *machine) closeTrip(o TripOutcome, text string) {
	if trip := m.Rollout.OpenTrip(); trip != nil {
		trip.Outcome, trip.Ended, trip.Text = o, m.now, text
	}
}

// settle takes over what mirrored traffic showed.
func (m *machine) settle(e Settled) {
	trip := m.Rollout.OpenTrip()
	switch {
	case trip == nil:
		return // too late: onTrip has decided
	case e.Confirmed:
		m.sayf("trip %d is confirmed", trip.Number)
		m.closeTrip(TripConfirmed, e.Reason)
		m.end(OutcomeRolledBack, CauseTrip, e.Reason)
	default:
		m.sayf("trip %d is cleared: %s", trip.Number, e.Reason)
		m.closeTrip(TripCleared, e.Reason)
	}
}

// unsettled lets the policy decide about a trip that nothing settled.
func (m *machine) unsettled(why string) {
	r := m.Rollout
	m.sayf("the trip is not settled: %s", why)
	m.closeTrip(TripExpired, why)
	switch r.Policy.Trip.OnTrip {
	case config.FallbackRollback:
		m.end(OutcomeRolledBack, CauseTripUnsolved, why+"; "+r.Trips[len(r.Trips)-1].Reason)
	case config.FallbackRetry: // it resumes with the next tick
	default:
		m.sayf("the share stays 0 until somebody decides")
		m.notify(NoticeHeld)
	}
}

// timeTrip lets an open trip run out.
func (m *machine) timeTrip() {
	trip := m.Rollout.OpenTrip()
	if trip == nil || m.now.Before(trip.Until) {
		return
	}
	if m.Rollout.Mirroring != config.MirroringAllowed {
		m.unsettled("mirroring is forbidden, and the wait is over")
		return
	}
	m.unsettled("mirrored traffic has not settled it in " + m.Rollout.Policy.Trip.Settle.String())
}

// resumable says whether the last trip ended so that the first step may begin.
func (r *Rollout) resumable() bool {
	if r.Phase != Tripped || len(r.Trips) == 0 {
		return false
	}
	switch r.Trips[len(r.Trips)-1].Outcome {
	case TripCleared, TripResumed:
		return true
	case TripExpired:
		return r.Policy.Trip.OnTrip == config.FallbackRetry
	case TripOpen, TripConfirmed, TripFinal, TripMoot:
		return false
	}
	return false
}

// resumeFirst begins the first step again after a trip, unless something freezes
// growth.
func (m *machine) resumeFirst() {
	if m.Rollout.resumable() && len(m.freezes(m.now)) == 0 {
		m.sayf("resumes at the first step")
		m.enter(0)
	}
}

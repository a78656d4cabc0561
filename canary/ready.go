package canary

import (
	"cmp"
	"time"
)

// resize notes how many endpoints are ready. A candidate without one loses its
// share at once; it gets it back with time, when nothing freezes growth.
func (m *machine) resize(e Resized) {
	if m.known(e.Version, e.Ready) {
		return
	}
	if m.Ready == nil {
		m.Ready = map[string]int{}
	}
	was := m.Ready[e.Version]
	m.Ready[e.Version] = e.Ready
	m.learn(e)
	m.sayf("%s has %d of %d endpoints ready", e.Version, e.Ready, e.Total)
	if r := m.Rollout; r != nil && e.Version == r.Candidate {
		if was > 0 && r.Unready != nil {
			r.Unready.Since = m.now // it was back, and has its whole time again
		}
		m.withhold(e)
	}
	m.free = m.Rollout == nil && m.route.Strategy.Canary == nil
}

// learn keeps what a failing endpoint said.
func (m *machine) learn(e Resized) {
	if e.Ready == e.Total {
		if delete(m.Facts, e.Version); len(m.Facts) == 0 {
			m.Facts = nil // as it is read back
		}
		return
	}
	if m.Facts == nil {
		m.Facts = map[string]string{}
	}
	m.Facts[e.Version] = e.Fact
}

// withhold takes the share of a candidate that nobody can answer for.
func (m *machine) withhold(e Resized) {
	r := m.Rollout
	switch {
	case e.Ready > 0:
		return
	case r.Unready != nil:
		r.Unready.Fact = e.Fact
		return
	}
	r.Unready = &Gone{Since: m.now, Fact: e.Fact}
	if clocked(r.Phase) {
		r.Clock, r.Base = time.Time{}, Uncounted
	}
	m.sayf("its share is withheld (%s)", cmp.Or(e.Fact, "no reason is known"))
}

// restore gives a withheld share back, when an endpoint is ready and nothing
// else freezes growth.
func (m *machine) restore() {
	r := m.Rollout
	if r.Unready == nil || m.Ready[r.Candidate] == 0 || len(m.stops(m.now)) > 0 {
		return
	}
	m.sayf("%s has an endpoint ready after %s", r.Candidate, span(m.now, r.Unready.Since))
	r.Unready = nil
}

// start leaves Waiting: for the first step, or, for a former stable that comes
// back, for everything.
func (m *machine) start() {
	r := m.Rollout
	m.restore()
	if len(m.freezes(m.now)) > 0 {
		return
	}
	if r.Direct {
		m.promote(CauseDirect, r.Candidate+" was stable before, within the rollback window")
		return
	}
	m.enter(0)
}

// outwait rolls back a candidate that has had no ready endpoint for too long.
func (m *machine) outwait() {
	r := m.Rollout
	limit := r.Policy.Limits.ProgressDeadline
	if r.Unready == nil || m.Ready[r.Candidate] > 0 || m.now.Sub(r.Unready.Since) < limit.D() {
		return
	}
	m.end(OutcomeRolledBack, CauseDeadline, r.Candidate+" has had no ready endpoint for "+limit.String()+": "+r.Unready.Fact)
}

package canary

import "time"

// either tries rules in order until one does something.
func (m *machine) either(rules ...func()) {
	for _, try := range rules {
		if try(); len(m.said) > 0 {
			return
		}
	}
}

func (m *machine) tickIdle(Tick) { m.saveAgain() }

func (m *machine) tickWaiting(Tick) {
	m.either(m.saveAgain, m.outwait, m.start, m.expireUnseen)
}

func (m *machine) tickStepping(Tick) {
	m.either(m.saveAgain, m.outwait, m.retreat, m.restore, m.expireUnseen)
}

func (m *machine) tickApproving(Tick) {
	m.either(m.saveAgain, m.outwait, m.timeGate, m.retreat, m.restore)
}

func (m *machine) tickTripped(Tick) {
	m.either(m.saveAgain, m.outwait, m.timeTrip, m.restore, m.resumeFirst)
}

func (m *machine) tickBaking(Tick) {
	m.either(m.saveAgain, m.outwait, m.restore, m.finishBake)
}

// finishBake ends a rollout whose promoted version was watched for long enough.
func (m *machine) finishBake() {
	r := m.Rollout
	if r.Clock.IsZero() || m.now.Sub(r.Clock) < r.Bake.D() || len(m.freezes(m.now)) > 0 {
		return
	}
	m.end(OutcomePromoted, CauseEvidence, r.Candidate+" was watched for "+r.Bake.String()+" without harm")
}

// fault notes that the store does not save. It is tried again, ever more slowly.
func (m *machine) fault(e SaveFailed) {
	f := Fault{Text: e.Text, Since: m.now}
	if m.Fault != nil {
		f.Since, f.Tries = m.Fault.Since, m.Fault.Tries
	}
	f.Tries++
	f.Again = m.now.Add(patience(f.Tries))
	m.Fault = &f
	m.unsaved = true
	m.sayf("the state could not be saved, try %d: %s", f.Tries, e.Text)
}

// patience is the wait after so many failed tries.
func patience(tries int) time.Duration {
	const most = 30 * time.Second
	return min(most, 250*time.Millisecond<<min(tries, 10))
}

// saveAgain tries to save what could not be saved before. If that fails, the
// state stays as it was.
func (m *machine) saveAgain() {
	if m.Fault == nil || m.now.Before(m.Fault.Again) {
		return
	}
	m.careful = true
	m.sayf("saved again after %s", span(m.now, m.Fault.Since))
}

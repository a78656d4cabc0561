package canary

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Step advances one inference route by one event. It reads no clock and
// performs no I/O: equal inputs give equal outputs. route is the configuration
// in force; with Configured, the event's own.
//
// A state changes only together with one recorded decision. An event that
// changes nothing gives the state as it was and no effects.
func Step(route config.RouteSpec, s State, ev Event) (State, []Effect) {
	if c, ok := ev.(Configured); ok {
		route = c.Route
	}
	m := machine{route: route, now: instant(ev.When()), before: s, State: s.clone()}
	rule := decide(s.Phase(), ev.Kind())
	rule.apply(&m, ev)
	return m.conclude(rule.name, ev)
}

// instant drops what does not survive JSON: the zone and the monotonic clock.
func instant(t time.Time) time.Time { return t.UTC().Round(0) }

// machine is one step being taken. Its State is the next one; rules change it
// and say why.
type machine struct {
	State

	route  config.RouteSpec
	now    time.Time
	before State

	said    []string
	refusal string
	notices []Notice
	free    bool // shares may grow without a save: they go to a version trusted before
	resend  bool // publish, even if the split is as before
	careful bool // save first, though no share grows
	unsaved bool // do not try to save
	begun   *Origin
}

// sayf adds a sentence to the decision. A rule that changes the state says so.
func (m *machine) sayf(format string, args ...any) {
	m.said = append(m.said, fmt.Sprintf(format, args...))
}

// refusef answers a verb with no.
func (m *machine) refusef(format string, args ...any) {
	m.refusal = fmt.Sprintf(format, args...)
}

// notify tells people of the rollout that runs, or else of the last.
func (m *machine) notify(kind NoticeKind) {
	id := ""
	if m.Rollout != nil {
		id = m.Rollout.ID
	} else if len(m.History) > 0 {
		id = m.History[0].ID
	}
	m.notifyOf(id, kind)
}

// notifyOf tells people of a rollout, or of an A/B test. The text is the decision's so far.
func (m *machine) notifyOf(id string, kind NoticeKind) {
	m.notices = append(m.notices, Notice{Route: m.State.Route, Rollout: id, At: m.now, Kind: kind, Text: strings.Join(m.said, "; ")})
}

// conclude turns what the rule did into effects. Growing is saved first, and
// does not happen otherwise. Everything else is done first, and saved then.
func (m *machine) conclude(rule string, ev Event) (State, []Effect) {
	switch {
	case m.refusal != "":
		return m.concludeRefusal(rule, ev)
	case len(m.said) == 0:
		return m.before, nil
	}
	changed := m.assignEpoch()
	m.pin()
	m.startClock()
	m.Seq++
	m.resend = m.resend || changed
	m.careful = m.careful || changed && !m.shrinks()
	if m.careful {
		m.Fault = nil // this state counts only if it is saved
		m.reserve()
	}
	return m.State, m.effects(Record{m.decision(rule, ev)})
}

// effects of a step, in order.
func (m *machine) effects(record Record) []Effect {
	var effects []Effect
	if m.careful {
		effects = append(effects, Save{m.State})
	}
	if m.resend {
		effects = append(effects, Publish{m.Published})
	}
	effects = append(effects, record)
	if !m.careful && !m.unsaved {
		effects = append(effects, Save{m.State})
	}
	for _, n := range m.notices {
		effects = append(effects, Notify{n})
	}
	return effects
}

// concludeRefusal leaves everything as it was but the log.
func (m *machine) concludeRefusal(rule string, ev Event) (State, []Effect) {
	m.State = m.before.clone()
	m.begun = nil
	m.Seq++
	d := m.decision(rule, ev)
	d.Text, d.Refused = m.refusal, true
	return m.State, []Effect{Refuse{m.refusal}, Record{d}, Save{m.State}}
}

// shrinks says whether the new split may be published before it is saved: no
// version but the one trusted before gains by it, and its epoch is reserved.
func (m *machine) shrinks() bool {
	if m.Published.Epoch > m.before.Reserved {
		return false
	}
	if m.free {
		return true
	}
	trusted := m.before.Stable
	if m.before.Rollout != nil {
		trusted = m.before.Rollout.Stable
	}
	for _, share := range m.Published.Shares {
		v := share.Version
		if v != trusted && m.Published.Weight(v) > m.before.Published.Weight(v) {
			return false
		}
	}
	return true
}

// decision describes the step.
func (m *machine) decision(rule string, ev Event) Decision {
	d := Decision{
		Seq:    m.Seq,
		Route:  m.State.Route,
		At:     m.now,
		Event:  ev.Kind(),
		Actor:  Machine,
		Text:   strings.Join(m.said, "; "),
		Rule:   rule,
		Seen:   m.seen(ev),
		From:   m.before.place(),
		To:     m.State.place(),
		Split:  m.Published,
		Input:  Input{ev},
		Origin: m.begun,
	}
	if v, ok := ev.(verb); ok {
		d.Actor, d.Reason = v.by().Actor, v.by().Reason
	}
	switch {
	case m.before.Rollout != nil:
		d.Rollout = m.before.Rollout.ID
	case m.Rollout != nil:
		d.Rollout = m.Rollout.ID
	case len(m.History) > 0 && (len(m.before.History) == 0 || !m.History[0].equal(m.before.History[0])):
		d.Rollout = m.History[0].ID
	default:
		d.Rollout = m.testOf()
	}
	switch {
	case m.begun == nil:
	case m.Rollout != nil:
		d.Begins = m.Rollout.ID
	default:
		d.Begins = m.ABTests[0].ID
	}
	return d
}

// equal says whether nothing was added to a finished rollout.
func (f Finished) equal(o Finished) bool {
	return f.ID == o.ID && f.Confirmed.Equal(o.Confirmed) && slices.Equal(f.Unconfirmed, o.Unconfirmed) && f.lastObserved().Equal(o.lastObserved())
}

func (f Finished) lastObserved() time.Time {
	if len(f.Passages) == 0 {
		return time.Time{}
	}
	return f.Passages[len(f.Passages)-1].Observed
}

// seen is what the event brought to decide on.
func (m *machine) seen(ev Event) Seen {
	switch e := ev.(type) {
	case Judged:
		s := Seen{Verdict: string(e.Assessment.Verdict), Value: e.Assessment.LogE, Threshold: e.Assessment.LogNeeded}
		if m.before.Rollout != nil {
			s.N = e.Assessment.Requests[m.before.Rollout.Candidate]
		}
		return s
	case Suspected:
		return Seen{N: e.N, Value: e.LogE, Threshold: e.Needed}
	default:
		return Seen{}
	}
}

// place is where the state stands.
func (s State) place() Place {
	p := Place{Phase: s.Phase(), Stable: s.Stable}
	if r := s.Rollout; r != nil {
		p.Step, p.Weight = r.Step, s.Published.Weight(r.Candidate)
	}
	return p
}

package canary

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Admit says whether a route may be configured in this state: a version that is
// stable or in a rollout is immutable. Its endpoints may come and go, as long as
// one stays. While a rollout goes on, what keeps users with a version stays, too:
// another hash would move all of them. All mistakes are reported at once.
func Admit(s State, route config.RouteSpec) error {
	if route.Strategy.Canary == nil {
		return nil
	}
	var mistakes []error
	for _, was := range s.Pinned {
		role := "stable"
		if was.Name != s.Stable {
			role = "in a rollout"
		}
		is, ok := route.Version(was.Name)
		switch {
		case !ok:
			mistakes = append(mistakes, fmt.Errorf("spec.versions: %q is %s and cannot be removed", was.Name, role))
		case !sameModel(was.Model, is.Model):
			mistakes = append(mistakes, fmt.Errorf("spec.versions[%s].model: cannot change while %s, was %s, found %s",
				was.Name, role, modelText(was.Model), modelText(is.Model)))
		case !overlap(was.Endpoints, is.Endpoints):
			mistakes = append(mistakes, fmt.Errorf("spec.versions[%s].endpoints: cannot all change while %s, was %v, found %v",
				was.Name, role, was.Endpoints, is.Endpoints))
		}
	}
	if r := s.Rollout; r != nil && r.goesOn(route) && !sameUnits(r.Stickiness, route.Stickiness) {
		mistakes = append(mistakes, fmt.Errorf("spec.stickiness: cannot change while rollout %s runs, for users would change versions, was %s, found %s",
			r.ID, unitsText(r.Stickiness), unitsText(route.Stickiness)))
	}
	return errors.Join(mistakes...)
}

// goesOn says whether a configuration leaves the rollout running.
func (r *Rollout) goesOn(route config.RouteSpec) bool {
	return route.Target == r.Candidate && (route.Attempt == r.Try.Attempt || r.Phase == Baking)
}

func sameUnits(a, b *config.Stickiness) bool { return unitsText(a) == unitsText(b) }

func unitsText(s *config.Stickiness) string {
	switch {
	case s == nil:
		return "none"
	case s.Cookie != nil:
		return fmt.Sprintf("cookie %s", s.Cookie.Name)
	case s.ClientAddress != nil:
		return "client address"
	default:
		return fmt.Sprintf("header %s", strings.ToLower(s.Header))
	}
}

func sameModel(a, b *config.Model) bool {
	return modelOf(a) == modelOf(b)
}

func modelOf(m *config.Model) config.Model {
	if m == nil {
		return config.Model{}
	}
	return *m
}

func modelText(m *config.Model) string {
	v := modelOf(m)
	return fmt.Sprintf("{name: %q, version: %q, digest: %q}", v.Name, v.Version, v.Digest)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(e string) bool { return slices.Contains(b, e) })
}

// configure takes a configuration over while no rollout runs.
func (m *machine) configure(e Configured) {
	m.accept(e)
	m.followTest()
	m.beginIfAsked()
}

// accept notes what the configuration asks for. It is saved first: what was
// reserved before a load may be in use. Everything published before is published
// again: whoever serves it may be new.
func (m *machine) accept(e Configured) {
	m.sayf("configuration accepted")
	m.resend, m.careful = true, true
	m.Policy = e.Policy
	m.Nack = nil
	if m.Asked.Target != m.route.Target || m.Asked.Attempt != m.route.Attempt {
		m.Asked = Try{Target: m.route.Target, Attempt: m.route.Attempt}
	}
	m.seed()
	m.refreshPins()
	if e.Loaded {
		m.load()
	}
}

// seed names a stable version where none is known.
func (m *machine) seed() {
	if m.route.Strategy.Canary == nil {
		return
	}
	if _, ok := m.route.Version(m.Stable); ok {
		return
	}
	m.Stable = m.route.InitialStable
	if m.Stable == "" && len(m.route.Versions) > 0 {
		m.Stable = m.route.Versions[0].Name
	}
}

// refreshPins takes over the endpoints that Admit let pass.
func (m *machine) refreshPins() {
	for i, was := range m.Pinned {
		if is, ok := m.route.Version(was.Name); ok {
			m.Pinned[i] = is
		}
	}
}

// load forgets what a restart makes untrue.
func (m *machine) load() {
	m.sayf("state loaded at epoch %d, reserved up to %d", m.Published.Epoch, m.Reserved)
	m.Used = max(m.Used, m.Reserved)
	m.Proxies, m.Acked, m.Fault = 0, 0, nil
	r := m.Rollout
	if r == nil {
		return
	}
	r.Clock, r.Base = time.Time{}, Uncounted
	if r.Blind != nil {
		r.Blind.Since = m.now
	}
	if trip := r.OpenTrip(); trip != nil {
		trip.Until = m.now.Add(r.Policy.Trip.Settle.D())
	}
}

// beginIfAsked begins a rollout if the configuration wants another version than
// stable and that try was not rejected.
func (m *machine) beginIfAsked() {
	switch {
	case m.route.Strategy.Canary == nil, m.Asked.Target == "", m.Asked.Target == m.Stable:
	case slices.Contains(m.Rejections, m.Asked):
		m.sayf("%s stays rejected at attempt %d: %s stays stable", m.Asked.Target, m.Asked.Attempt, m.Stable)
	default:
		m.begin()
	}
}

// reconfigure takes a configuration over while a rollout runs. What the rollout
// copied does not change under it, but that mirroring can be forbidden at any time.
func (m *machine) reconfigure(e Configured) {
	m.accept(e)
	r := m.Rollout
	target := Try{Target: m.Asked.Target, Attempt: m.Asked.Attempt, Retry: r.Try.Retry}
	switch {
	case m.route.Strategy.Canary == nil:
		m.end(OutcomeCancelled, CauseTarget, "the strategy is no longer canary")
		m.followTest()
	case m.Asked.Target == "" || m.Asked.Target == r.Stable:
		m.end(OutcomeCancelled, CauseTarget, fmt.Sprintf("the target went back to %s", r.Stable))
	case target == r.Try:
		m.forbid()
	case r.Phase == Baking && target.Target == r.Candidate: // promoted already: there is nothing to try again
		m.forbid()
	case r.Phase == Baking:
		m.end(OutcomePromoted, CauseTarget, fmt.Sprintf("baking was cut short by the new target %s", target.Target))
		m.beginIfAsked()
	default:
		m.end(OutcomeSuperseded, CauseTarget, fmt.Sprintf("target %s at attempt %d took its place", target.Target, target.Attempt))
		m.beginIfAsked()
	}
}

// withdraw ends the rollout of a route that is no longer served. What was promoted stays
// so; any other target may be tried again if the route comes back.
func (m *machine) withdraw(Withdrawn) {
	const why = "the inference route is no longer configured"
	if m.Rollout.Phase == Baking {
		m.end(OutcomePromoted, CauseWithdrawn, "baking was cut short: "+why)
		return
	}
	m.end(OutcomeCancelled, CauseWithdrawn, why)
}

// forbid takes mirroring away from the rollout that runs, as if it had never had it: an open
// trip is left to onTrip, and a shadow step copies nothing any more. Nothing gives it back.
func (m *machine) forbid() {
	r := m.Rollout
	if m.route.Mirroring == config.MirroringAllowed || r.Mirroring != config.MirroringAllowed {
		return
	}
	r.Mirroring = config.MirroringForbidden
	m.sayf("mirroring is forbidden for the rest of rollout %s", r.ID)
	if r.OpenTrip() != nil && r.Policy.Trip.OnTrip != config.FallbackRetry {
		m.unsettled("mirroring is forbidden")
	}
}

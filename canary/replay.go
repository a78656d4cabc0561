package canary

import (
	"fmt"

	"github.com/sluice-dev/sluice/config"
)

// Replay takes recorded decisions again, from the Origin of the first one, or
// from nothing where the first is the first of its route. It gives the
// decisions it comes to; they equal the recorded ones byte for byte. After the
// end of a rollout it stops where the record leaves something out.
func Replay(recorded []Decision) ([]Decision, error) {
	if len(recorded) == 0 {
		return nil, nil
	}
	state, route := origin(recorded[0])
	if recorded[0].Seq != state.Seq+1 {
		return nil, fmt.Errorf("decision %d: begins no rollout and is not the first, so it cannot be replayed alone", recorded[0].Seq)
	}
	var taken []Decision
	for _, d := range recorded {
		if d.Seq != state.Seq+1 {
			if state.Rollout == nil {
				return taken, nil
			}
			return taken, fmt.Errorf("decision %d: does not follow on %d", d.Seq, state.Seq)
		}
		if c, ok := d.Input.Event.(Configured); ok {
			route = c.Route
		}
		next, effects := Step(route, state, d.Input.Event)
		again, ok := DecisionIn(effects)
		if !ok {
			return taken, fmt.Errorf("decision %d: %s decides nothing now", d.Seq, d.Event)
		}
		taken, state = append(taken, again), next
	}
	return taken, nil
}

func origin(first Decision) (State, config.RouteSpec) {
	if first.Origin != nil {
		return first.Origin.State, first.Origin.Route
	}
	return State{Route: first.Route}, config.RouteSpec{}
}

// DecisionIn finds the decision among effects. Each step has at most one.
func DecisionIn(effects []Effect) (Decision, bool) {
	for _, e := range effects {
		if r, ok := e.(Record); ok {
			return r.Decision, true
		}
	}
	return Decision{}, false
}

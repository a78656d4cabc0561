package canary

import (
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// Split derives what the route does with requests in this state, under the
// epoch of the newest published split. It always equals Published after a Step.
func (s State) Split(route config.RouteSpec) config.Split {
	split := config.Split{Epoch: s.Published.Epoch}
	r := s.Rollout
	switch {
	case route.Strategy.Split != nil:
		split.Shares = s.fixed(*route.Strategy.Split)
	case route.Strategy.ABTest != nil:
		split.Shares = s.arms(*route.Strategy.ABTest)
	case route.Strategy.Shadow != nil:
		s.shadowed(*route.Strategy.Shadow, &split)
	case r == nil:
		split.Shares = config.Whole(s.Stable)
	case r.Phase == Baking:
		split.Shares = config.Whole(s.baked())
	case s.standsIn():
		split.Shares = config.Whole(r.Candidate)
	default:
		split.Shares = config.Carve(r.Stable, r.Candidate, r.share(), r.Offset)
		split.Mirror = s.mirror()
		split.Repeat = repeated(r.Policy, r.Stable, r.shadow())
	}
	return split
}

// share is the candidate's, in basis points.
func (r *Rollout) share() uint32 {
	switch r.Phase {
	case Stepping, Approving:
		if r.Unready != nil {
			return 0
		}
		return r.weightAt(r.Step)
	case Baking:
		return config.WholeSplit
	case Idle, Waiting, Tripped:
		return 0
	}
	return 0
}

// weightAt is the candidate's share at a step: its own, or of the last weight
// step before a gate.
func (r *Rollout) weightAt(step int) uint32 {
	for i := min(step, len(r.Steps)-1); i >= 0; i-- {
		if r.Steps[i].Approve == nil {
			return r.Steps[i].Weight.BasisPoints()
		}
	}
	return 0
}

// standsIn says whether the candidate serves what stable cannot: stable is known to
// have no ready endpoint in mid-rollout, and an answer nobody has judged yet is
// better than none for certain.
func (s State) standsIn() bool {
	r := s.Rollout
	return r.share() > 0 && r.Phase != Baking && s.known(r.Stable, 0) && s.Ready[r.Candidate] > 0
}

// baked is who gets everything while baking: the new stable, or, while that
// has no ready endpoint, the old one that is kept.
func (s State) baked() string {
	if s.Rollout.Unready == nil || s.known(s.Rollout.Stable, 0) {
		return s.Stable
	}
	return s.Rollout.Stable
}

// mirror is what a shadow step copies, or the tripped share while a trip is open, if
// it may be mirrored and somebody can answer.
func (s State) mirror() config.Share {
	r := s.Rollout
	trip := r.OpenTrip()
	if r.Phase != Tripped {
		return r.shadow()
	}
	if trip == nil || r.Mirroring != config.MirroringAllowed || s.Ready[r.Candidate] == 0 {
		return config.Share{}
	}
	return config.Share{Version: r.Candidate, Weight: trip.Share}
}

// OpenTrip is the trip that mirrored traffic or a wait is settling; nil if none.
func (r *Rollout) OpenTrip() *Trip {
	if r.Phase != Tripped || len(r.Trips) == 0 {
		return nil
	}
	if last := &r.Trips[len(r.Trips)-1]; last.Outcome == TripOpen {
		return last
	}
	return nil
}

// known says whether a version was reported to have this many ready endpoints.
func (s State) known(version string, ready int) bool {
	n, ok := s.Ready[version]
	return ok && n == ready
}

// fixed divides by hand. A version known to have no ready endpoint leaves its
// share to the others, in proportion.
func (s State) fixed(f config.FixedSplit) []config.Share {
	var weights []part
	for name, w := range f.Weights {
		if w > 0 && !s.known(name, 0) {
			weights = append(weights, part{name, int64(w)})
		}
	}
	if len(weights) == 0 { // nobody is ready: as written
		for name, w := range f.Weights {
			if w > 0 {
				weights = append(weights, part{name, int64(w)})
			}
		}
	}
	return divide(weights)
}

// arms gives each arm of an A/B test its interval, where no other test of other
// arms has the same. An arm known to have no ready endpoint leaves its units to the
// reference, and the reference to the first arm by name, so that no others move.
func (s State) arms(t config.ABTest) []config.Share {
	var weights []part
	for name, w := range t.Arms {
		weights = append(weights, part{name, int64(w)})
	}
	shares := divide(weights)
	names := fnv.New32a()
	standIn := t.Reference
	if s.known(standIn, 0) {
		if i := slices.IndexFunc(shares, func(a config.Share) bool { return !s.known(a.Version, 0) }); i >= 0 {
			standIn = shares[i].Version
		}
	}
	for i, share := range shares {
		_, _ = names.Write([]byte(share.Version + "/")) // a hash takes everything
		if s.known(share.Version, 0) && !s.known(standIn, 0) {
			shares[i].Version = standIn
		}
	}
	return config.Rotate(shares, names.Sum32()%config.WholeSplit)
}

type part struct {
	version string
	weight  int64
}

// divide scales weights to basis points that sum to the whole, by largest
// remainder, in order of name.
func divide(parts []part) []config.Share {
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.version, b.version) })
	var total int64
	for _, p := range parts {
		total += p.weight
	}
	shares := make([]config.Share, len(parts))
	order := make([]int, len(parts))
	left := int64(config.WholeSplit)
	for i, p := range parts {
		bp := p.weight * config.WholeSplit / total
		shares[i] = config.Share{Version: p.version, Weight: uint32(bp)}
		order[i] = i
		left -= bp
	}
	remainder := func(i int) int64 { return parts[i].weight * config.WholeSplit % total }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder(b), remainder(a)) })
	for _, i := range order[:left] {
		shares[i].Weight++
	}
	return slices.DeleteFunc(shares, func(s config.Share) bool { return s.Weight == 0 })
}

// sameSplit compares everything but the epoch.
func sameSplit(a, b config.Split) bool {
	return a.Mirror == b.Mirror && a.Repeat == b.Repeat && slices.Equal(a.Shares, b.Shares)
}

package analysis

import "slices"

// stratum is what both arms did in one window of one epoch. Arms are compared
// within strata only: load, faults and the split may change from one to the next.
type stratum struct {
	epoch             uint64
	stable, candidate sums
	segments          [sides]SegmentCounts
	units             [sides]UnitCounts
}

// sums are the counts of one arm.
type sums struct {
	requests, errors, abandoned, clientErrors int64

	running int64 // begun, less those that have ended since
}

func (s sums) plus(w *Window) sums {
	return sums{
		s.requests + w.Requests, s.errors + w.Errors, s.abandoned + w.Abandoned, s.clientErrors + w.ClientErrors,
		s.running + w.Begun - w.Told,
	}
}

func (s *stratum) arm(of side) sums {
	if of == ofCandidate {
		return s.candidate
	}
	return s.stable
}

// and adds up.
func (s sums) and(o sums) sums {
	return sums{s.requests + o.requests, s.errors + o.errors, s.abandoned + o.abandoned, s.clientErrors + o.clientErrors, s.running + o.running}
}

// minus leaves a unit out.
func (s sums) minus(c UnitCount) sums {
	return sums{s.requests - c.Requests, s.errors - c.Errors, s.abandoned - c.Abandoned, s.clientErrors - c.ClientErrors, s.running}
}

// issued is every request that the split sent to the arm, answered or not, once it is
// known of.
func (s sums) issued() int64 { return s.requests + s.abandoned + s.clientErrors + s.running }

// rate is the arm's share of errors.
func (s sums) rate() rate { return rate{N: s.requests, Bad: s.errors} }

// inOrder sorts the windows of the two arms, so that evidence is the same
// however they were grouped. It leaves the caller's slice alone.
func inOrder(windows []Window, arms Arms) []*Window {
	of := make([]*Window, 0, len(windows))
	for i := range windows {
		if w := &windows[i]; w.Version == arms.Stable || w.Version == arms.Candidate {
			of = append(of, w)
		}
	}
	inTime := func(a, b *Window) int { return a.Compare(b.WindowKey) }
	if !slices.IsSortedFunc(of, inTime) {
		slices.SortStableFunc(of, inTime)
	}
	return of
}

// strata sums the windows of one index by epoch, in the order of epochs.
func strata(windows []*Window, arms Arms) []stratum {
	var ss []stratum
	at := 0
	for _, w := range windows {
		if at >= len(ss) || ss[at].epoch != w.Epoch { // most come in runs
			at = stratumAt(&ss, w.Epoch)
		}
		arm, of := &ss[at].stable, arms.side(w.Version)
		if of == ofCandidate {
			arm = &ss[at].candidate
		}
		*arm = arm.plus(w)
		ss[at].segments[of].merge(w.Segments.counts())
		ss[at].units[of].merge(w.Units)
	}
	return ss
}

// stratumAt is where the stratum of an epoch is, which it makes if there is none.
func stratumAt(ss *[]stratum, epoch uint64) int {
	at := 0
	for at < len(*ss) && (*ss)[at].epoch < epoch {
		at++
	}
	if at == len(*ss) || (*ss)[at].epoch != epoch {
		*ss = slices.Insert(*ss, at, stratum{epoch: epoch})
	}
	return at
}

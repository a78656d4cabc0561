package canary

import (
	"maps"
	"slices"
)

// clone copies what a step may change in place.
func (s State) clone() State {
	s.Ready = maps.Clone(s.Ready)
	s.Facts = maps.Clone(s.Facts)
	s.Nack = copied(s.Nack)
	s.Fault = copied(s.Fault)
	s.Pinned = slices.Clone(s.Pinned)
	s.ABTests = slices.Clone(s.ABTests)
	s.Formers = slices.Clone(s.Formers)
	s.Rejections = slices.Clone(s.Rejections)
	s.Published.Shares = slices.Clone(s.Published.Shares)
	s.History = slices.Clone(s.History)
	for i := range s.History {
		s.History[i].Rollout = s.History[i].Rollout.clone()
	}
	if s.Rollout != nil {
		r := s.Rollout.clone()
		s.Rollout = &r
	}
	return s
}

func (r Rollout) clone() Rollout {
	r.Blind = copied(r.Blind)
	r.Hold = copied(r.Hold)
	r.Gate = copied(r.Gate)
	r.Unready = copied(r.Unready)
	r.Trips = slices.Clone(r.Trips)
	r.Passages = slices.Clone(r.Passages)
	return r
}

// copied gives a pointer to a copy; nil for nil.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

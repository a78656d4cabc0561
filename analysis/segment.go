package analysis

import (
	"cmp"
	"slices"
)

// SegmentCounts are parts of a window's counts by segment: a tenant, a language.
// Sorted by name; requests without a segment are in none.
type SegmentCounts []SegmentCount

// SegmentCount is one segment's part of a window.
type SegmentCount struct {
	Name     string     `json:"name"`
	Requests int64      `json:"n"`
	Errors   int64      `json:"bad"`
	Times    `json:"-"` // as a window's
}

func (c *SegmentCounts) add(o SegmentCount) {
	s := c.of(o.Name)
	s.Requests += o.Requests
	s.Errors += o.Errors
	s.Times.merge(o.Times)
}

// count adds one request with an outcome.
func (c *SegmentCounts) count(r Request) {
	s := c.of(r.Segment)
	s.Requests++
	s.Errors += rateOf(r.Outcome.Error()).Bad
}

// of finds a segment by name, or begins it.
func (c *SegmentCounts) of(name string) *SegmentCount {
	at, found := slices.BinarySearchFunc(*c, name, func(s SegmentCount, name string) int { return cmp.Compare(s.Name, name) })
	if !found {
		*c = slices.Insert(*c, at, SegmentCount{Name: name})
	}
	return &(*c)[at]
}

// counts leaves the times out.
func (c SegmentCounts) counts() (all SegmentCounts) {
	for _, s := range c {
		all = append(all, SegmentCount{Name: s.Name, Requests: s.Requests, Errors: s.Errors})
	}
	return all
}

func (c *SegmentCounts) merge(o SegmentCounts) {
	for _, s := range o {
		c.add(s)
	}
}

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
	Name     string `json:"name"`
	Requests int64  `json:"n"`
	Errors   int64  `json:"bad"`
}

func (c *SegmentCounts) add(o SegmentCount) {
	at, found := slices.BinarySearchFunc(*c, o.Name, func(s SegmentCount, name string) int { return cmp.Compare(s.Name, name) })
	if !found {
		*c = slices.Insert(*c, at, SegmentCount{Name: o.Name})
	}
	(*c)[at].Requests += o.Requests
	(*c)[at].Errors += o.Errors
}

func (c *SegmentCounts) merge(o SegmentCounts) {
	for _, s := range o {
		c.add(s)
	}
}

// segmentPart is the part of the evidence on errors against stable that is the
// segments' together, where they are watched.
const segmentPart = 0.25

// segments is the evidence on errors in single segments. A model that is broken for
// one tenant with 2% of the traffic passes every test of all requests. Each segment
// has a process of its own with an equal, fixed part of the bound, whether or not
// it is ever seen; so which are seen, and when, costs no validity. The first ones
// that have a request of either arm are watched.
type segments struct {
	Most int       `json:"most"`
	Left int64     `json:"left"` // requests of segments beyond Most
	Each []segment `json:"each"` // by name
}

type segment struct {
	Name      string  `json:"name"`
	Harm      process `json:"harm"`
	Stable    rate    `json:"stable"`
	Candidate rate    `json:"candidate"`
	// Open is this block, by epoch. A window has too few requests of a segment to
	// compare; within an epoch arms are drawn alike, so a block may be one stratum
	// whatever drifts in it (research: statistics §2a, the design-based proof).
	Open []segmentStratum `json:"open,omitempty"`
}

// segmentStratum is what a segment had of both arms under one epoch.
type segmentStratum struct {
	Epoch     uint64 `json:"epoch"`
	Stable    rate   `json:"stable"`
	Candidate rate   `json:"candidate"`
}

// Segmented watches up to so many segments of requests, too, for errors against
// stable. Call it on what NewEvidence gave, before anything is counted: the segments
// take a quarter of that test's part of falseRollback. Without such a test in the
// policy, it changes nothing.
func (e Evidence) Segmented(most int) Evidence {
	if e.Odds != nil && most > 0 && e.Spans == 0 {
		e.Segments = &segments{Most: most}
	}
	return e
}

func (s *segments) clone() *segments {
	c := *s
	c.Each = slices.Clone(s.Each)
	for i := range c.Each {
		c.Each[i].Open = slices.Clone(c.Each[i].Open)
	}
	return &c
}

// add counts what was drawn of one index. unspent is the part of the evidence that
// later minutes will get; a segment that is first seen now has had all other parts.
func (s *segments) add(all []drawing, unspent float64) {
	for _, name := range namesOf(all) { // in an order that no grouping changes
		s.find(name, unspent)
	}
	for _, d := range all {
		for of, arm := range d.arms {
			for _, c := range arm.segments {
				if g := s.find(c.Name, unspent); g != nil {
					g.add(d.epoch, side(of), rate{N: c.Requests, Bad: c.Errors})
				} else {
					s.Left += c.Requests
				}
			}
		}
	}
}

func namesOf(all []drawing) (names []string) {
	for _, d := range all {
		for _, arm := range d.arms {
			for _, c := range arm.segments {
				names = append(names, c.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// find gives a segment by name, or nil where too many are watched already.
func (s *segments) find(name string, unspent float64) *segment {
	at, found := slices.BinarySearchFunc(s.Each, name, func(g segment, name string) int { return cmp.Compare(g.Name, name) })
	switch {
	case found:
	case len(s.Each) >= s.Most:
		return nil
	default:
		g := segment{Name: name}
		notBegun(g.Harm.Past[:])
		g.Harm.start(1 - unspent)
		s.Each = slices.Insert(s.Each, at, g)
	}
	return &s.Each[at]
}

func (g *segment) add(epoch uint64, of side, r rate) {
	at, found := slices.BinarySearchFunc(g.Open, epoch, func(o segmentStratum, epoch uint64) int { return cmp.Compare(o.Epoch, epoch) })
	if !found {
		g.Open = slices.Insert(g.Open, at, segmentStratum{Epoch: epoch})
	}
	if o := &g.Open[at]; of == ofCandidate {
		o.Candidate, g.Candidate = o.Candidate.plus(r), g.Candidate.plus(r)
	} else {
		o.Stable, g.Stable = o.Stable.plus(r), g.Stable.plus(r)
	}
}

// closeBlock turns the block into evidence.
func (s *segments) closeBlock(grid *oddsGrid, limit nats) {
	for i := range s.Each {
		g := &s.Each[i]
		for _, o := range g.Open {
			g.weigh(grid, o)
		}
		g.Open = nil
		g.Harm.closeBlock(limit)
	}
}

func (g *segment) weigh(grid *oddsGrid, o segmentStratum) {
	d, informative := newDraw(stratum{
		stable: sums{requests: o.Stable.N, errors: o.Stable.Bad}, candidate: sums{requests: o.Candidate.N, errors: o.Candidate.Bad},
	})
	if !informative {
		return
	}
	null := d.log(grid.harmNull)
	for k, shift := range grid.shifts {
		g.Harm.Open[k] = g.Harm.Open[k].plus(fixed(d.log(grid.harmNull+shift) - null))
	}
}

func (s *segments) start(part float64) {
	for i := range s.Each {
		s.Each[i].Harm.start(part)
	}
}

// segmentStandings are the tests of the segments that the candidate has served.
func (j *judgement) segmentStandings(all standing) []standing {
	if j.e.Segments == nil {
		return nil
	}
	var ss []standing
	for _, g := range j.e.Segments.Each {
		if g.Candidate.N == 0 {
			continue
		}
		s := all
		s.Test = Test{
			Metric: all.Metric, Method: all.Method, Direction: directionRollback, Threshold: all.Threshold, Segment: g.Name,
			Stable: g.Stable.estimate(), Candidate: g.Candidate.estimate(),
		}
		s.LogE = j.harm(g.Harm.logE(burstOf(metricOf(j.p, all.metric))))
		s.weight = all.weight * segmentPart / float64(j.e.Segments.Most)
		s.Idle = j.tooFew(metricOf(j.p, all.metric), g.Candidate)
		ss = append(ss, s)
	}
	return ss
}

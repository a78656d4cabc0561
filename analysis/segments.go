package analysis

import (
	"cmp"
	"slices"
)

// segmentPart is the part of the evidence against stable, on errors and on each kind of
// times, that is the segments' together, where they are watched.
const segmentPart = 0.25

// segments is the evidence on errors and times in single segments. A model that is broken for
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
	// Times are compared pod by pod, as those of all requests are.
	Times [timingCount]*latency `json:"times"`
}

// segmentStratum is what a segment had of both arms under one epoch.
type segmentStratum struct {
	Epoch     uint64 `json:"epoch"`
	Stable    rate   `json:"stable"`
	Candidate rate   `json:"candidate"`
}

// Segmented watches up to so many segments of requests, too, for errors and times
// against stable. Call it on what NewEvidence gave, before anything is counted: the
// segments take a quarter of those tests' parts of falseRollback. Without such a test in
// the policy, it changes nothing.
func (e Evidence) Segmented(most int) Evidence {
	if (e.Odds != nil || e.Latency != nil || e.TTFB != nil || e.TPOT != nil) && most > 0 && e.Spans == 0 {
		e.Segments = &segments{Most: most}
	}
	return e
}

func (s *segments) clone() *segments {
	c := *s
	c.Each = slices.Clone(s.Each)
	for i := range c.Each {
		c.Each[i].Open = slices.Clone(c.Each[i].Open)
		for k, l := range c.Each[i].Times {
			c.Each[i].Times[k] = l.clone()
		}
	}
	return &c
}

// add counts what was drawn of one index. unspent is the part of the evidence that
// later minutes will get; a segment that is first seen now has had all other parts.
func (s *segments) add(u *updater, all []drawing, unspent float64) {
	for _, name := range namesOf(all) { // in an order that no grouping changes
		s.watch(u, name, unspent)
	}
	for _, d := range all {
		for of, arm := range d.arms {
			for _, c := range arm.segments {
				if g := s.find(c.Name); g != nil {
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
				if c.Requests > 0 { // of others only a first byte is known yet
					names = append(names, c.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// watch begins with a segment, unless it is watched or too many are.
func (s *segments) watch(u *updater, name string, unspent float64) {
	at, found := slices.BinarySearchFunc(s.Each, name, compareSegment)
	if found || len(s.Each) >= s.Most {
		return
	}
	g := segment{Name: name}
	notBegun(g.Harm.Past[:])
	g.Harm.start(1 - unspent)
	for i, specs := range u.ranks {
		g.Times[i] = newLatency(specs)
		g.Times[i].start(1 - unspent)
	}
	s.Each = slices.Insert(s.Each, at, g)
}

// find gives a segment by name, or nil where it is not watched.
func (s *segments) find(name string) *segment {
	at, found := slices.BinarySearchFunc(s.Each, name, compareSegment)
	if !found {
		return nil
	}
	return &s.Each[at]
}

func compareSegment(g segment, name string) int { return cmp.Compare(g.Name, name) }

// look sets the edges of times that past windows allow.
func (s *segments) look(u *updater) {
	if s == nil {
		return
	}
	for i := range s.Each {
		for k, l := range s.Each[i].Times {
			l.look(u.ranks[k])
		}
	}
}

// addTimes counts the times of a window of a pod that is warm.
func (s *segments) addTimes(u *updater, w *Window, of side) {
	if s == nil {
		return
	}
	for _, c := range w.Segments {
		g := s.find(c.Name)
		if g == nil {
			continue
		}
		for k, name := range timings() {
			if l, times := g.Times[k], c.times(name); l != nil && len(times) > 0 {
				l.add(u.ranks[k], w.Pod, times, of)
				l.remember(times, of)
			}
		}
	}
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
func (s *segments) closeBlock(u *updater, block int64) {
	for i := range s.Each {
		g := &s.Each[i]
		for _, o := range g.Open {
			g.weigh(&u.odds, o)
		}
		g.Open = nil
		g.Harm.closeBlock(u.burst)
		for _, l := range g.Times {
			l.closeBlock(block, u.block)
		}
	}
}

func (g *segment) weigh(grid *oddsGrid, o segmentStratum) {
	both := stratum{
		stable: sums{requests: o.Stable.N, errors: o.Stable.Bad}, candidate: sums{requests: o.Candidate.N, errors: o.Candidate.Bad},
	}
	d, informative := newDraw(both.sampled(ofStable))
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
		for _, l := range s.Each[i].Times {
			l.start(part)
		}
	}
}

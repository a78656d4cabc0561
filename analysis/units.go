package analysis

import "slices"

// units is the evidence's memory of units, where a split keeps each with an arm. Then
// units are what is drawn by chance, not requests: a user whose every request fails
// would pass for a version's fault. So each unit counts once:
//
//   - for harm until, and with, its first error: among the units of a window that had
//     none yet, whose is the first? However often a unit fails, it is one event of the
//     logrank test, whose likelihood is that of strata of requests. source: ter Schure,
//     Pérez-Ortiz, Ly and Grünwald 2024 (research: statistics §1, §2a);
//   - for safety with the first window in which its arm saw it, if that answered it:
//     whoever is left after failures is no sample of all;
//   - for the split with the window in which it was first seen at all: a hash draws
//     each unit once, so the share of requests is off for good.
//
// A request without a unit was drawn by itself, and counts as a unit of its own.
type units struct {
	Failed  placeSet        `json:"failed,omitempty"`  // had an error
	Refused placeSet        `json:"refused,omitempty"` // had a client error
	Seen    [sides]placeSet `json:"seen"`              // by that arm

	Arms [sides]unitTotals `json:"arms"`
}

// unitTotals are what one arm had.
type unitTotals struct {
	Alone   int64 `json:"alone"`   // requests without a unit
	Units   rate  `json:"units"`   // that it served, and those of them that failed for the first time
	Clients rate  `json:"clients"` // likewise, of client errors
	// Load is its requests by the places of their units, a 256th of all places in each.
	Load [unitGroups]int64 `json:"load"`
}

const unitGroups = 256

// ByUnit counts units, not requests, of those requests that have one: for a split that
// keeps each unit with an arm. Call it on what NewEvidence gave, before anything is
// counted.
func (e Evidence) ByUnit() Evidence {
	if e.Spans == 0 {
		e.Units = &units{}
	}
	return e
}

func (u *units) clone() *units {
	if u == nil {
		return nil
	}
	c := *u
	c.Failed, c.Refused = slices.Clone(u.Failed), slices.Clone(u.Refused)
	for i := range c.Seen {
		c.Seen[i] = slices.Clone(u.Seen[i])
	}
	return &c
}

// drawing is what a stratum is to each kind of test, in what was drawn by chance.
type drawing struct {
	epoch   uint64
	byUnits bool // units were drawn, not only requests
	arms    [sides]armDrawing
}

// armDrawing is one arm's part.
type armDrawing struct {
	split   sums // for the split
	harm    sums // of those that may still fail for the first time
	safe    sums // of those that are new to the arm
	clients rate // of those that may still give a client error for the first time
	// atRisk are the requests of those in harm, and segments are these by segment.
	atRisk   rate
	segments SegmentCounts
}

func (d *drawing) stratum(of func(armDrawing) sums) stratum {
	return stratum{epoch: d.epoch, stable: of(d.arms[ofStable]), candidate: of(d.arms[ofCandidate])}
}

// draw says what a stratum is worth, and remembers its units. Where requests are
// drawn, each counts.
func (u *units) draw(s stratum) drawing {
	d := drawing{epoch: s.epoch, byUnits: u != nil && len(s.units[ofStable])+len(s.units[ofCandidate]) > 0}
	var whole [sides]UnitCounts
	for of, sum := range [sides]sums{ofStable: s.stable, ofCandidate: s.candidate} {
		if !d.byUnits {
			d.arms[of] = byRequest(sum, s.segments[of])
		} else {
			whole[of] = s.units[of].whole()
			d.arms[of] = u.byUnit(side(of), sum, s.segments[of], s.units[of], whole[of])
		}
	}
	if u != nil {
		u.remember(s, whole)
	}
	return d
}

func byRequest(s sums, segments SegmentCounts) armDrawing {
	return armDrawing{split: s, harm: s, safe: s, clients: s.clients(), atRisk: s.rate(), segments: segments}
}

// byUnit counts units once, and what has no unit by request. Counts are by segment too,
// and whole are not.
func (u *units) byUnit(of side, s sums, segments SegmentCounts, counts, whole UnitCounts) armDrawing {
	var alone SegmentCounts
	alone.merge(segments)
	for _, c := range counts {
		s = s.minus(c)
		if c.Segment != "" {
			alone.add(SegmentCount{Name: c.Segment, Requests: -c.Requests, Errors: -c.Errors})
		}
	}
	d := byRequest(s, alone)
	for _, c := range whole {
		d.count(c, u.past(of, c.Place))
	}
	for _, c := range counts {
		if c.Segment != "" && c.Requests > 0 && !u.Failed.has(c.Place) {
			d.segments.add(SegmentCount{Name: c.Segment, Requests: 1, Errors: min(c.Errors, 1)})
		}
	}
	return d
}

// unitPast is what is known of a unit from earlier windows.
type unitPast struct {
	failed, refused bool
	here, anywhere  bool // it was seen, by this arm or by any
}

func (u *units) past(of side, p Place) unitPast {
	return unitPast{
		failed: u.Failed.has(p), refused: u.Refused.has(p),
		here: u.Seen[of].has(p), anywhere: u.Seen[ofStable].has(p) || u.Seen[ofCandidate].has(p),
	}
}

// count adds one unit.
func (d *armDrawing) count(c UnitCount, was unitPast) {
	once := sums{requests: 1, errors: min(c.Errors, 1)}
	if !was.anywhere {
		d.split.requests++
	}
	if c.Requests > 0 && !was.failed {
		d.harm = d.harm.and(once)
		d.atRisk = d.atRisk.plus(rate{N: c.Requests, Bad: once.errors})
	}
	if c.Requests > 0 && !was.here {
		d.safe = d.safe.and(once)
	}
	if c.Requests+c.ClientErrors > 0 && !was.refused {
		d.clients = d.clients.plus(rate{N: 1, Bad: min(c.ClientErrors, 1)})
	}
}

// remember notes the units of a stratum, once it was drawn from.
func (u *units) remember(s stratum, whole [sides]UnitCounts) {
	for of, counts := range whole {
		t, alone := &u.Arms[of], s.arm(side(of))
		for _, c := range counts {
			alone = alone.minus(c)
			was := u.past(side(of), c.Place)
			t.Load[int(c.Place)*unitGroups/unitPlaces] += c.Requests
			t.Units = t.Units.plus(rate{N: oneIf(!was.here), Bad: oneIf(c.Errors > 0 && !was.failed)})
			t.Clients = t.Clients.plus(rate{N: oneIf(!was.here), Bad: oneIf(c.ClientErrors > 0 && !was.refused)})
			u.Seen[of].add(c.Place)
			if c.Errors > 0 {
				u.Failed.add(c.Place)
			}
			if c.ClientErrors > 0 {
				u.Refused.add(c.Place)
			}
		}
		t.Alone += alone.requests
		t.Units, t.Clients = t.Units.plus(alone.rate()), t.Clients.plus(alone.clients())
	}
}

func oneIf(yes bool) int64 { return rateOf(yes).Bad }

// leastUnits is how many units' worth of requests both arms must have before times are
// compared: fewer may be faster or slower than others by what they ask for, and stay so.
const leastUnits = 30

// worth is how many units of equal load an arm's requests are worth. source: Kish, 1965.
func (t *unitTotals) worth() float64 {
	sum, squares := float64(t.Alone), float64(t.Alone)
	for _, n := range t.Load {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / squares
}

// known is nil where no unit was seen yet.
func (u *units) known() *units {
	if u == nil || u.Seen[ofStable] == nil && u.Seen[ofCandidate] == nil {
		return nil
	}
	return u
}

// few says that times cannot be compared yet; empty where they can.
func (u *units) few() string {
	if u = u.known(); u == nil {
		return ""
	}
	for of, name := range [sides]string{ofStable: "stable's", ofCandidate: "the candidate's"} {
		if worth := u.Arms[of].worth(); worth < leastUnits {
			return sprintf("%s requests are those of %.3g units of equal load, fewer than %d", name, worth, leastUnits)
		}
	}
	return ""
}

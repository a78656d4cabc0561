package analysis

import (
	"cmp"
	"slices"
)

// unitPlaces is the number of places that units are hashed to. It bounds what is kept of
// units; those that share a place are taken for one, whichever arm they are of.
const unitPlaces = 1 << 15

// Place is where a unit is hashed to.
type Place uint16

// PlaceOf hashes a unit's name.
func PlaceOf(unit string) Place { return Place(hashOf(unit) % unitPlaces) }

// UnitCounts are parts of a window's counts by unit and segment. Sorted; requests
// without a unit are in none.
type UnitCounts []UnitCount

// UnitCount is one unit's part of a window.
type UnitCount struct {
	Place   Place
	Segment string

	Requests, Errors, Abandoned, ClientErrors int64
}

func (c *UnitCounts) add(o UnitCount) {
	at, found := slices.BinarySearchFunc(*c, o, func(a, b UnitCount) int {
		if a.Place != b.Place {
			return cmp.Compare(a.Place, b.Place)
		}
		return cmp.Compare(a.Segment, b.Segment)
	})
	if !found {
		*c = slices.Insert(*c, at, UnitCount{Place: o.Place, Segment: o.Segment})
	}
	(*c)[at] = (*c)[at].plus(o)
}

func (c *UnitCounts) merge(o UnitCounts) {
	for _, u := range o {
		c.add(u)
	}
}

// countUnit is what one request is of its unit's counts.
func countUnit(r Request) UnitCount {
	u := UnitCount{Place: PlaceOf(r.Unit), Segment: r.Segment}
	switch r.Outcome {
	case Abandoned:
		u.Abandoned = 1
	case ClientFault:
		u.ClientErrors = 1
	case Succeeded, Failed, TimedOut:
		u.Requests, u.Errors = 1, rateOf(r.Outcome.Error()).Bad
	}
	return u
}

func (c UnitCount) plus(o UnitCount) UnitCount {
	c.Requests += o.Requests
	c.Errors += o.Errors
	c.Abandoned += o.Abandoned
	c.ClientErrors += o.ClientErrors
	return c
}

// whole gives each unit's counts over its segments, in order.
func (c UnitCounts) whole() (all UnitCounts) {
	for _, u := range c {
		u.Segment = ""
		if n := len(all); n > 0 && all[n-1].Place == u.Place {
			all[n-1] = all[n-1].plus(u)
		} else {
			all = append(all, u)
		}
	}
	return all
}

// placeSet is a set of places, a bit each; nil is empty.
type placeSet []byte

func (s placeSet) has(p Place) bool { return s != nil && s[p/8]>>(p%8)&1 == 1 }

func (s *placeSet) add(p Place) {
	if *s == nil {
		*s = make(placeSet, unitPlaces/8)
	}
	(*s)[p/8] |= 1 << (p % 8)
}

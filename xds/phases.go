package xds

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Situation is what is known when the next phase of a change is planned.
type Situation struct {
	// Wanted is where it should end.
	Wanted Resources
	// Open are the served resources that a connected proxy has neither acknowledged
	// nor been given up on.
	Open map[Ref]bool
	Now  time.Time
	// Drain is how long a cluster is kept after the last route to it has gone.
	Drain time.Duration
}

// Change is what proxies are told about one type of resource.
type Change struct {
	Type    Type
	Set     []Resource // sorted by name
	Removed []string   // sorted
}

// Progress is what proxies are told so far. The zero value is nothing. It is
// immutable.
type Progress struct {
	Served map[Ref]Resource

	former map[Ref][]Ref     // what replaced versions needed, until that is acknowledged
	unused map[Ref]time.Time // clusters and scopes that nothing needs, since when
}

// Next plans make before break: it serves what is wanted as soon as all that it
// newly needs has been acknowledged, and takes away what nobody needs any more.
// A change that needs nothing new, as taking a candidate's share away, never
// waits. Changes come in the order in which Envoy wants to hear of them. Call it
// again after every change, whenever Open shrinks, and at wake unless that is
// zero.
func (p Progress) Next(s Situation) (next Progress, changes []Change, wake time.Time) {
	next = Progress{Served: p.Served, former: map[Ref][]Ref{}, unused: map[Ref]time.Time{}}
	for ref, needs := range p.former {
		if s.Open[ref] {
			next.former[ref] = needs
		}
	}
	round := planning{Situation: s, before: p, next: &next}
	lists := s.Wanted.byType()
	for _, l := range lists {
		changes = append(changes, Change{Type: l.typ, Set: round.serve(l)})
	}
	if round.kept < len(p.Served) {
		round.remove(changes)
	}
	changes = slices.DeleteFunc(changes, func(c Change) bool { return len(c.Set)+len(c.Removed) == 0 })
	return next, changes, round.wake
}

type typedList struct {
	typ  Type
	list []Resource
}

// byType lists r in the order in which Envoy wants to hear of it.
func (r Resources) byType() []typedList {
	return []typedList{
		{TypeCluster, r.Clusters}, {TypeEndpoint, r.Endpoints}, {TypeRoute, r.Routes}, {TypeScope, r.Scopes}, {TypeListener, r.Listeners},
	}
}

// planning is one call of Next.
type planning struct {
	Situation
	before Progress
	next   *Progress
	kept   int          // how much of what is served is wanted
	wanted map[Ref]bool // while something is not
	wake   time.Time
	owned  bool

	closing bool // a listener that is served is to go
}

func (p *planning) serve(l typedList) []Resource {
	var set []Resource
	for _, r := range l.list {
		ref := Ref{l.typ, r.Name}
		old, served := p.before.Served[ref]
		if served {
			p.kept++
		}
		if served && old.Version == r.Version || !p.ready(ref, r) {
			continue
		}
		p.own()[ref] = r
		if served {
			p.next.former[ref] = append(slices.Clone(old.Needs), p.next.former[ref]...)
		}
		set = append(set, r)
	}
	return set
}

// own gives what is to be served, for writing. Most calls write nothing, and it is
// large.
func (p *planning) own() map[Ref]Resource {
	if !p.owned {
		p.owned = true
		p.next.Served = maps.Clone(p.before.Served)
	}
	if p.next.Served == nil {
		p.next.Served = map[Ref]Resource{}
	}
	return p.next.Served
}

// ready says whether r may be served now.
func (p *planning) ready(ref Ref, r Resource) bool {
	old, served := p.before.Served[ref]
	switch ref.Type {
	case TypeCluster:
		// Endpoints must follow the cluster whose change they end. While another answer
		// on clusters is out, they would overtake it.
		return !served || !p.clusterOpen()
	case TypeEndpoint:
		return p.clusterCurrent(r.Name)
	case TypeRoute, TypeScope, TypeListener:
	}
	for _, need := range r.Needs {
		if served && slices.Contains(old.Needs, need) {
			continue
		}
		if _, known := p.before.Served[need]; !known || p.Open[need] {
			return false
		}
	}
	return true
}

func (p *planning) clusterOpen() bool {
	for ref := range p.Open {
		if ref.Type == TypeCluster {
			return true
		}
	}
	return false
}

func (p *planning) clusterCurrent(cluster string) bool {
	i, ok := slices.BinarySearchFunc(p.Wanted.Clusters, cluster, func(r Resource, n string) int { return cmp.Compare(r.Name, n) })
	return ok && p.next.Served[Ref{TypeCluster, cluster}].Version == p.Wanted.Clusters[i].Version
}

// remove adds to changes, which holds one entry per type, what is not wanted and
// no longer needed.
func (p *planning) remove(changes []Change) {
	p.wanted = map[Ref]bool{}
	for _, l := range p.Wanted.byType() {
		for _, r := range l.list {
			p.wanted[Ref{l.typ, r.Name}] = true
		}
	}
	needed := p.needed()
	p.closing = p.closes()
	for i := len(changes) - 1; i >= 0; i-- { // listeners first, clusters last
		c := &changes[i]
		for ref := range p.before.Served {
			if ref.Type == c.Type && !p.wanted[ref] && p.removable(ref, needed) {
				c.Removed = append(c.Removed, ref.Name)
			}
		}
		slices.Sort(c.Removed)
	}
	for _, c := range changes {
		for _, n := range c.Removed {
			delete(p.own(), Ref{c.Type, n})
		}
	}
}

// needed collects what served resources need, and what proxies may still use.
func (p *planning) needed() map[Ref]bool {
	needed := map[Ref]bool{}
	mark := func(refs []Ref) {
		for _, r := range refs {
			needed[r] = true
		}
	}
	for _, r := range p.next.Served {
		mark(r.Needs)
	}
	for _, refs := range p.next.former {
		mark(refs)
	}
	return needed
}

func (p *planning) removable(ref Ref, needed map[Ref]bool) bool {
	switch ref.Type {
	case TypeListener:
		return p.listens()
	case TypeScope:
		return !needed[ref] && p.unscoped(ref)
	case TypeRoute:
		return !needed[ref]
	case TypeCluster:
		return p.goes(ref, needed)
	case TypeEndpoint: // goes with its cluster
	}
	cluster := Ref{TypeCluster, ref.Name}
	return !p.wanted[cluster] && p.goes(cluster, needed)
}

// goes says whether a cluster that is not wanted can go. A proxy that has not answered
// may still wait for its endpoints, and will not answer before it has them.
func (p *planning) goes(cluster Ref, needed map[Ref]bool) bool {
	return !needed[cluster] && p.drained(cluster) && !p.Open[cluster]
}

// unscoped says whether a scope can go: at once, or after a while where a
// listener has changed or goes, because its former connections still use scopes.
func (p *planning) unscoped(scope Ref) bool {
	if p.closing {
		p.next.unused[scope] = p.Now
		return false
	}
	for _, l := range p.Wanted.Listeners {
		ref := Ref{TypeListener, l.Name}
		if p.before.Served[ref].Version != l.Version || p.Open[ref] {
			p.next.unused[scope] = p.Now
			return false
		}
	}
	_, waits := p.before.unused[scope]
	return !waits || p.drained(scope)
}

// closes says whether a listener that is served is to go.
func (p *planning) closes() bool {
	for ref := range p.before.Served {
		if ref.Type == TypeListener && !p.wanted[ref] {
			return true
		}
	}
	return false
}

// listens says whether proxies have every listener that is wanted: no port closes
// before the one in its place is open.
func (p *planning) listens() bool {
	return !slices.ContainsFunc(p.Wanted.Listeners, func(l Resource) bool {
		ref := Ref{TypeListener, l.Name}
		_, served := p.before.Served[ref]
		return !served || p.Open[ref]
	})
}

// drained says whether a cluster or scope has been unused for long enough, and notes when
// to ask again.
func (p *planning) drained(ref Ref) bool {
	since, known := p.before.unused[ref]
	if !known {
		since = p.Now
	}
	p.next.unused[ref] = since
	due := since.Add(p.Drain)
	if !p.Now.Before(due) {
		return true
	}
	if p.wake.IsZero() || due.Before(p.wake) {
		p.wake = due
	}
	return false
}

package ads

import (
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/name"
)

// settled tells of the inference routes that e is a part of the way to: nobody is
// waited for to take e any more.
func (s *Server) settled(e *entry, now time.Time) {
	if len(s.former) == 0 && !s.everyoneHas(e) {
		return
	}
	var routes []config.Key
	switch e.ref.Type {
	case xds.TypeRoute:
		routes = slices.SortedFunc(maps.Keys(e.carries), config.Key.Compare)
	case xds.TypeScope:
		if t := s.fanouts[xds.TypeRoute].entries[e.table]; t != nil {
			routes = slices.SortedFunc(maps.Keys(t.carries), config.Key.Compare)
		}
	case xds.TypeListener:
		routes = s.ways[e.ref]
	case xds.TypeCluster, xds.TypeEndpoint: // a table waits for them before it is served
	}
	for _, k := range routes {
		s.announce(k, now)
	}
}

// announce tells that every proxy waited for has an inference route's split
// wherever requests come in, once per epoch unless tellAgain asks for more.
func (s *Server) announce(k config.Key, now time.Time) {
	epoch, takers := s.epochOf(k), s.takers(k)
	if takers == 0 || s.announced[k] == epoch || !s.led(k, epoch) {
		return
	}
	s.announced[k] = epoch
	s.tell(Acked{Route: k, Epoch: epoch, Proxies: takers, Refused: s.isRefused(k), At: now})
	if len(s.refusing) > 0 {
		s.reminding[k] = true
	}
}

// epochOf gives the split that is served of an inference route.
func (s *Server) epochOf(k config.Key) uint64 {
	place := s.placed[k]
	if t := s.fanouts[xds.TypeRoute].entries[place.Table]; t != nil && len(s.former[k]) == 0 {
		return t.carries[k]
	}
	return place.Epoch
}

// takers counts the proxies that have a table of an inference route.
func (s *Server) takers(k config.Key) int {
	n := 0
	for _, place := range s.places(k) {
		if e := s.fanouts[xds.TypeRoute].entries[place.Table]; e != nil {
			n = max(n, e.takers)
		}
	}
	return n
}

// everyoneHas says whether all who are waited for have taken e, which is served.
func (s *Server) everyoneHas(e *entry) bool {
	b := s.ballots[e.ref]
	return s.fanouts[e.ref.Type].entries[e.ref.Name] == e && (b == nil || len(b.waiting)+len(b.refused) == 0)
}

// led says whether an inference route's listener and hostnames lead to its split
// of an epoch, on every proxy. A table behind a listener that was refused serves
// nobody, and nobody is asked for it where there is a former one.
func (s *Server) led(k config.Key, epoch uint64) bool {
	if len(s.former[k]) == 0 {
		return s.leads(k, epoch, s.placed[k], func(e *entry) bool {
			return s.everyoneHas(e) || e.ref.Type == xds.TypeListener && s.opensTo(e)
		})
	}
	for c := range s.sessions {
		has := func(e *entry) bool {
			_, kept := s.refusalOf(c, e.ref.Name)
			return !s.ballots[e.ref].owed(c) || e.ref.Type == xds.TypeListener && kept && c.listens(e.ref.Name)
		}
		for _, place := range s.places(k) {
			if s.listens(c, place) && !s.leads(k, epoch, place, has) {
				return false
			}
		}
	}
	return true
}

// listens says whether requests come in at a place, on a proxy, or may soon.
func (s *Server) listens(c *session, place xds.Place) bool {
	l := s.fanouts[xds.TypeListener].entries[place.Listener]
	return place.Listener == "" || l != nil && !s.shuts(c, place.Listener)
}

// leads says whether a place leads to the split of an epoch, for whoever has what
// is on the way there.
func (s *Server) leads(k config.Key, epoch uint64, place xds.Place, has func(*entry) bool) bool {
	if l := s.fanouts[xds.TypeListener].entries[place.Listener]; place.Listener != "" && (l == nil || !has(l)) {
		return false
	}
	t := s.fanouts[xds.TypeRoute].entries[place.Table]
	if t == nil || t.carries[k] != epoch || !has(t) {
		return false
	}
	return !slices.ContainsFunc(place.Scopes, func(n string) bool {
		scope := s.fanouts[xds.TypeScope].entries[n]
		return scope == nil || scope.table != place.Table || !has(scope)
	})
}

// owed says whether a proxy's answer is missing, or was no.
func (b *ballot) owed(c *session) bool {
	if b == nil {
		return false
	}
	_, waits := b.waiting[c]
	return waits || b.refused[c]
}

// tellAgain makes the next announcement of a table one, though nothing changed.
func (s *Server) tellAgain(e *entry) {
	for k := range e.carries {
		delete(s.announced, k)
	}
}

type concern struct {
	Route config.Key
	Epoch uint64
}

// concerns lists the inference routes that need a resource.
func (f *fleet) concerns(ref xds.Ref) []concern {
	routes := f.ways[ref]
	if ref.Type == xds.TypeCluster || ref.Type == xds.TypeEndpoint {
		if k, _, _, err := name.ParseAssigned(ref.Name); err == nil {
			routes = []config.Key{k}
		}
	}
	var list []concern
	for _, k := range routes {
		if p, placed := f.placed[k]; placed {
			list = append(list, concern{k, p.Epoch})
		}
	}
	return list
}

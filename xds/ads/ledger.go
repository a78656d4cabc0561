package ads

import (
	"cmp"
	"maps"
	"slices"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/name"
)

// answered takes a proxy's ACK or NACK of the response with nonce.
func (s *Server) answered(w *watch, nonce string, nack *statuspb.Status) {
	i := slices.IndexFunc(w.flying, func(f flight) bool { return f.nonce == nonce })
	if i < 0 {
		return
	}
	entries := w.flying[i].entries
	for _, f := range w.flying[:i+1] {
		w.session.unread -= f.size
	}
	w.flying = slices.Delete(w.flying, 0, i+1) // answers come in order
	s.yield(w)
	now := s.cfg.Now()
	switch {
	case nack == nil:
		for _, e := range entries {
			s.took(w, e, now)
		}
	case len(entries) > 1 && w.whole():
		s.refusedOf(w, entries, nack.GetMessage(), now)
	case len(entries) > 1:
		// A proxy does not say which of them it refused, so each is sent alone.
		w.suspects = append(w.suspects, entries...)
	default:
		for _, e := range entries {
			s.refused(w, e, nack.GetMessage(), now)
		}
	}
}

// took notes that a proxy has e now.
func (s *Server) took(w *watch, e *entry, now time.Time) {
	if e.ref.Type == xds.TypeListener {
		s.listensNow(w.session, e.ref)
		defer s.settled(e, now)
	}
	w.forgive(e.ref.Name)
	if h := w.held[e.ref.Name]; h != nil && h.acked != e {
		h.take(e, now.UnixNano())
		if h.toldAt == 0 {
			h.toldAt = h.ackedAt // it had it
		}
		if e.takers == 1 {
			s.tellAgain(e)
		}
	}
	b := s.ballots[e.ref]
	if b == nil || b.entry != e {
		s.settled(e, now)
		return
	}
	s.drop(b, w.session)
}

// listensNow notes that a proxy has taken a listener, which it may have refused
// before.
func (s *Server) listensNow(c *session, listener xds.Ref) {
	s.kept = s.kept && s.opened[listener.Name]
	s.opened[listener.Name] = true
	s.repeatScopes(c)
	if _, stood := s.refusalOf(c, listener.Name); !stood {
		return
	}
	for _, r := range s.concerns(listener) {
		if len(s.former[r.Route]) == 0 { // or it will be told when that is closed
			delete(s.announced, r.Route)
		}
	}
}

// refused notes that a proxy keeps what it had before e.
func (s *Server) refused(w *watch, e *entry, text string, now time.Time) {
	known := w.refuse(e, text, now)
	s.schedule(w)
	if b := s.ballots[e.ref]; b != nil && b.entry == e {
		b.refused[w.session] = true
	}
	if e.ref.Type == xds.TypeListener && !w.session.listens(e.ref.Name) {
		s.excuse(w.session, e.ref.Name)
	}
	if known {
		return // and told
	}
	for _, r := range s.concerns(e.ref) {
		if e.ref.Type != xds.TypeListener {
			s.tell(Nacked{Route: r.Route, Epoch: r.Epoch, Proxy: w.session.proxy, Resource: e.ref, Text: text, At: now})
			continue
		}
		delete(s.announced, r.Route) // so that it is told once this is over
		s.announce(r.Route, now)     // where it stays, if it was anywhere
		s.reminding = true
		s.rouse()
	}
}

// tell has Run tell of an event.
func (s *Server) tell(e Event) {
	s.events = append(s.events, e)
	s.rouse()
}

// drop no longer waits for c, and tells if it was the last.
func (s *Server) drop(b *ballot, c *session) {
	if b.late[c] {
		s.tellAgain(b.entry) // it is one more
	}
	delete(b.waiting, c)
	delete(b.refused, c)
	delete(b.late, c)
	if len(b.waiting) > 0 {
		if len(s.former) > 0 {
			s.settled(b.entry, s.cfg.Now()) // the others may have refused it
		}
		return
	}
	if len(b.late) == 0 {
		delete(s.ballots, b.entry.ref)
	}
	s.settled(b.entry, s.cfg.Now())
	s.rouse() // the plan may go on
}

// settled tells of the inference routes that e is a part of the way to: nobody is
// waited for to take e any more.
func (s *Server) settled(e *entry, now time.Time) {
	if len(s.former) == 0 && !s.everyoneHas(e) {
		return
	}
	var routes []config.Key
	switch e.ref.Type {
	case xds.TypeRoute:
		routes = slices.Collect(maps.Keys(e.carries))
	case xds.TypeScope:
		if t := s.fanouts[xds.TypeRoute].entries[e.table]; t != nil {
			routes = slices.Collect(maps.Keys(t.carries))
		}
	case xds.TypeListener:
		for k := range s.placed {
			if slices.ContainsFunc(s.places(k), func(p xds.Place) bool { return p.Listener == e.ref.Name }) {
				routes = append(routes, k)
			}
		}
	case xds.TypeCluster, xds.TypeEndpoint: // a table waits for them before it is served
	}
	slices.SortFunc(routes, config.Key.Compare)
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
	s.tell(Acked{Route: k, Epoch: epoch, Proxies: takers, At: now})
	s.reminding = s.reminding || len(s.refusing) > 0
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

// expire gives up on proxies that have not answered in time, and says when to look
// again.
func (s *Server) expire(now time.Time) (due time.Time) {
	for _, ref := range slices.SortedFunc(maps.Keys(s.ballots), xds.Ref.Compare) {
		b := s.ballots[ref]
		if b.timeout == 0 {
			b.timeout = s.timeoutOf(ref)
		}
		stuck, next := b.giveUp(now)
		due = earlier(due, next)
		if len(stuck) == 0 {
			continue
		}
		for _, r := range s.concerns(ref) {
			s.tell(TimedOut{Route: r.Route, Epoch: r.Epoch, Resource: ref, Proxies: stuck, At: now})
		}
		s.settled(b.entry, now)
	}
	return due
}

// timeoutOf is how long the most impatient of the inference routes that need a
// resource waits for it.
func (s *Server) timeoutOf(ref xds.Ref) time.Duration {
	var least time.Duration
	for _, c := range s.concerns(ref) {
		own, ok := s.patience[c.Route]
		if !ok {
			own = s.cfg.AckTimeout
		}
		if least == 0 || own < least {
			least = own
		}
	}
	return cmp.Or(least, s.cfg.AckTimeout)
}

// giveUp names those who have kept silent for too long, and says when the next will
// have.
func (b *ballot) giveUp(now time.Time) (stuck []string, next time.Time) {
	for c, since := range b.waiting {
		at := since.Add(b.timeout)
		if now.Before(at) {
			next = earlier(next, at)
			continue
		}
		delete(b.waiting, c)
		b.late[c] = true
		if !b.refused[c] {
			stuck = append(stuck, c.proxy)
		}
	}
	slices.Sort(stuck)
	return stuck, next
}

type concern struct {
	Route config.Key
	Epoch uint64
}

// concerns lists the inference routes that need a resource.
func (s *Server) concerns(ref xds.Ref) []concern {
	var list []concern
	for k, p := range s.placed {
		route, _, err := name.ParseCluster(ref.Name)
		hit := slices.ContainsFunc(s.places(k), func(p xds.Place) bool { return onTheWay(p, ref) })
		if hit || err == nil && route == k && (ref.Type == xds.TypeCluster || ref.Type == xds.TypeEndpoint) {
			list = append(list, concern{k, p.Epoch})
		}
	}
	slices.SortFunc(list, func(a, b concern) int { return a.Route.Compare(b.Route) })
	return list
}

// onTheWay says whether requests come to a place by a resource.
func onTheWay(p xds.Place, ref xds.Ref) bool {
	switch ref.Type {
	case xds.TypeRoute:
		return p.Table == ref.Name
	case xds.TypeListener:
		return p.Listener == ref.Name
	case xds.TypeScope:
		return slices.Contains(p.Scopes, ref.Name)
	case xds.TypeCluster, xds.TypeEndpoint:
	}
	return false
}

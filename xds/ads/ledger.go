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
	w.forgive(e.ref.Name)
	if e.ref.Type == xds.TypeListener {
		s.repeatScopes(w.session)
		defer s.settled(e, now)
	}
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
		s.announce(e, now)
		return
	}
	s.drop(b, w.session)
}

// refused notes that a proxy keeps what it had before e.
func (s *Server) refused(w *watch, e *entry, text string, now time.Time) {
	known := w.refuse(e, text, now)
	s.schedule(w)
	if b := s.ballots[e.ref]; b != nil && b.entry == e {
		b.refused[w.session] = true
	}
	if e.ref.Type == xds.TypeListener {
		s.excuse(w.session, e.ref.Name)
	}
	if known {
		return // and told
	}
	for _, r := range s.concerns(e.ref) {
		s.tell(Nacked{Route: r.Route, Epoch: r.Epoch, Proxy: w.session.proxy, Resource: e.ref, Text: text, At: now})
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
		return
	}
	if len(b.late) == 0 {
		delete(s.ballots, b.entry.ref)
	}
	s.settled(b.entry, s.cfg.Now())
	s.rouse() // the plan may go on
}

// settled tells of the tables that e is or leads to: nobody is waited for to take
// e any more.
func (s *Server) settled(e *entry, now time.Time) {
	tables := s.fanouts[xds.TypeRoute].entries
	switch e.ref.Type {
	case xds.TypeRoute:
		s.announce(e, now)
	case xds.TypeScope:
		s.announce(tables[e.table], now)
	case xds.TypeListener:
		if !s.everyoneHas(e) {
			return
		}
		for _, place := range s.placed {
			if place.Listener == e.ref.Name {
				s.announce(tables[place.Table], now)
			}
		}
	case xds.TypeCluster, xds.TypeEndpoint: // a table waits for them before it is served
	}
}

// announce tells that every proxy waited for has taken a table, once per epoch
// unless tellAgain asks for more.
func (s *Server) announce(e *entry, now time.Time) {
	if e == nil || e.takers == 0 || !s.everyoneHas(e) {
		return
	}
	for _, k := range slices.SortedFunc(maps.Keys(e.carries), config.Key.Compare) {
		if epoch := e.carries[k]; s.announced[k] != epoch && s.led(k, e.ref.Name) {
			s.announced[k] = epoch
			s.tell(Acked{Route: k, Epoch: epoch, Proxies: e.takers, At: now})
		}
	}
}

// everyoneHas says whether all who are waited for have taken e, which is served.
func (s *Server) everyoneHas(e *entry) bool {
	b := s.ballots[e.ref]
	return s.fanouts[e.ref.Type].entries[e.ref.Name] == e && (b == nil || len(b.waiting)+len(b.refused) == 0)
}

// led says whether an inference route's listener and hostnames lead to a table,
// on every proxy. A table behind a listener that was refused serves nobody.
func (s *Server) led(k config.Key, table string) bool {
	place := s.placed[k]
	if place.Table != table {
		return false
	}
	if l := s.fanouts[xds.TypeListener].entries[place.Listener]; l == nil || !s.everyoneHas(l) {
		return false
	}
	return !slices.ContainsFunc(place.Scopes, func(n string) bool {
		scope := s.fanouts[xds.TypeScope].entries[n]
		return scope == nil || scope.table != table || !s.everyoneHas(scope)
	})
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
		hit := ref.Type == xds.TypeRoute && p.Table == ref.Name ||
			ref.Type == xds.TypeListener && p.Listener == ref.Name ||
			ref.Type == xds.TypeScope && slices.Contains(p.Scopes, ref.Name) ||
			err == nil && route == k && (ref.Type == xds.TypeCluster || ref.Type == xds.TypeEndpoint)
		if hit {
			list = append(list, concern{k, p.Epoch})
		}
	}
	slices.SortFunc(list, func(a, b concern) int { return a.Route.Compare(b.Route) })
	return list
}

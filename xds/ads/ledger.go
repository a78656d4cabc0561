package ads

import (
	"cmp"
	"maps"
	"slices"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/sluice-dev/sluice/xds"
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
	if !s.opened[listener.Name] {
		s.opened[listener.Name], s.kept = true, false
		s.rouse()
	}
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
	for i, r := range s.concerns(e.ref) {
		if e.ref.Type != xds.TypeListener {
			s.tell(Nacked{Route: r.Route, Epoch: r.Epoch, Proxy: w.session.proxy, Resource: e.ref, Text: text, At: now, again: i > 0})
			continue
		}
		delete(s.announced, r.Route) // so that it is told once this is over
		s.announce(r.Route, now)     // where it stays, if it was anywhere
		s.reminding[r.Route] = true
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

package ads

import (
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/sluice-dev/sluice/xds"
)

// subscribe brings the index up to date with a stream's subscription. What the
// proxy says it has already counts as taken; what it lacks is waited for.
func (s *Server) subscribe(w *watch, names, gone []string) {
	if _, was := w.fanout.wild[w]; w.wildcard && !was {
		w.fanout.wild[w] = struct{}{}
		names = slices.Collect(maps.Keys(w.fanout.entries))
	} else if was && !w.wildcard {
		delete(w.fanout.wild, w)
		gone = slices.AppendSeq(gone, maps.Keys(w.fanout.entries))
	}
	subscribed := w.subscription.SubscribedResources()
	for _, n := range names {
		if _, ok := subscribed[n]; ok {
			w.fanout.subscribe(w, n)
		}
	}
	for _, n := range gone {
		w.fanout.unsubscribe(w, n)
		s.forget(w, n)
	}
	now := s.cfg.Now()
	for _, n := range names {
		e := w.fanout.entries[n]
		switch {
		case e == nil:
		case w.subscription.ReturnedResources()[n] == e.version:
			s.took(w, e, now)
		default:
			s.await(e, w.session, now)
			s.tellAgain(e)
		}
	}
	s.rouse()
}

// all is the name that stands for every name.
const all = "*"

// renew takes the subscription of an incremental request, and says whether the
// proxy asks for everything anew: it then knows nothing of what it was told before
// it stopped asking. go-control-plane keeps neither apart.
func (w *watch) renew(sub cache.Subscription, names, gone []string) (anew bool) {
	first := w.subscription == nil
	w.subscription = sub
	anew = slices.Contains(names, all) || first && sub.IsWildcard()
	w.wildcard = anew || w.wildcard && !slices.Contains(gone, all)
	if anew && !first {
		w.distrust()
	}
	return anew
}

// distrust has everything sent again that is served, and taken away that is not.
func (w *watch) distrust() {
	known := w.subscription.ReturnedResources()
	for n := range known {
		known[n] = ""
	}
}

// repeatScopes has all scopes sent again. Envoy asks for scopes once per stream:
// a listener that came or was changed later would wait for them for 15 s, and
// then answer 404.
func (s *Server) repeatScopes(c *session) {
	w := c.watches[xds.TypeScope]
	if w == nil || !w.wildcard {
		return
	}
	w.anew = true
	if w.open != nil {
		s.claimed = append(s.claimed, claim{ticket: w.open, set: w.world(), repeats: true})
		w.open, w.anew = nil, false
		s.rouse()
	}
}

// forget ends what is known of a resource that a proxy no longer wants.
func (s *Server) forget(w *watch, resource string) {
	w.forgive(resource)
	if h := w.session.tables[resource]; h != nil && w.fanout.typ == xds.TypeRoute {
		h.take(nil, s.cfg.Now())
		delete(w.session.tables, resource)
	}
	if b := s.ballots[xds.Ref{Type: w.fanout.typ, Name: resource}]; b != nil {
		s.drop(b, w.session)
	}
}

func (s *Server) join(c *session) {
	s.sessions[c] = struct{}{}
	s.tell(Connected{Proxy: c.proxy, At: c.since})
}

// leave forgets a stream that has ended.
func (s *Server) leave(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, joined := s.sessions[c]; !joined {
		return
	}
	delete(s.sessions, c)
	for _, w := range c.watches {
		delete(w.fanout.wild, w)
		delete(s.refusing, w)
		if w.subscription != nil {
			for n := range w.subscription.SubscribedResources() {
				w.fanout.unsubscribe(w, n)
			}
		}
	}
	for _, h := range c.tables {
		h.take(nil, s.cfg.Now())
	}
	for _, b := range s.ballots {
		if _, waited := b.waiting[c]; waited || b.late[c] {
			s.drop(b, c)
		}
	}
	s.tell(Disconnected{Proxy: c.proxy, At: s.cfg.Now()})
}

// withdraw closes a ticket. A response that was claimed for it and not handed
// over is found stale again by the next request.
func (s *Server) withdraw(t *ticket) {
	s.mu.Lock()
	if t.watch.open == t {
		t.watch.open = nil
	}
	s.mu.Unlock()
	t.cancel()
}

func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		c.end()
	}
}

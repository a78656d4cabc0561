package ads

import (
	"slices"
	"time"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/sluice-dev/sluice/xds"
)

// DeltaAggregatedResources serves one proxy increments until it goes.
func (s *Server) DeltaAggregatedResources(stream discoverypb.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	c := &session{incremental: true, watches: map[xds.Type]*watch{}}
	c.outbox.write = func(r *response) error { return stream.Send(r.increment()) }
	return s.converse(stream.Context(), c, func() error {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		r := request{node: req.GetNode(), typ: xds.Type(req.GetTypeUrl()), nonce: req.GetResponseNonce(), nack: req.GetErrorDetail()}
		return s.heard(c, r, func(w *watch) { s.ask(w, req) })
	})
}

// all is the name that stands for every name.
const all = "*"

// ask takes what a proxy subscribes to, and answers at once if it lacks something.
// An answer is also due, be it empty, to whoever asks for everything: a proxy
// starts only when it has been told of each list.
func (s *Server) ask(w *watch, req *discoverypb.DeltaDiscoveryRequest) {
	names, gone := req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe()
	everything := slices.Contains(names, all)
	whole := !w.asked || len(names)+len(gone) > 0
	if !w.asked {
		everything = everything || len(names) == 0 && w.listed()
		w.recall(req.GetInitialResourceVersions())
	} else if everything {
		w.distrust() // it knows nothing of what it was told before it stopped asking
	}
	first := !w.asked
	w.asked = true
	for _, n := range gone {
		s.unsubscribe(w, n)
	}
	if everything {
		s.subscribeAll(w)
	}
	for _, n := range names {
		if n == all {
			continue
		}
		if !first {
			w.repeat(n)
		}
		s.subscribe(w, n)
		w.miss(n)
	}
	if first {
		w.prune(req.GetInitialResourceVersions())
	}
	if whole {
		s.rouse()
	}
	s.answer(w, whole, everything)
}

// answer tells a proxy what it lacks, or leaves it waiting for what comes. Unless
// all of it is to be compared, only what has changed since the last time is.
func (s *Server) answer(w *watch, whole, regardless bool) {
	if w.queued {
		return // it will be told everything
	}
	if w.anew {
		w.distrust()
	}
	whole = whole || w.anew || w.more || w.behind
	w.anew, w.more, w.behind = false, false, false
	set, removed := w.lacks(whole)
	set = slices.DeleteFunc(set, func(e *entry) bool { return s.early(w, e) })
	if len(set)+len(removed) == 0 {
		set = w.nextSuspect()
	}
	set = w.fit(set)
	switch {
	case s.turns.wait(w, size(set, removed), s.cfg.Now()):
	case regardless || len(set)+len(removed) > 0:
		s.respond(w, set, removed)
	default:
		w.waits = true
	}
}

// respond decides that a proxy is told something. It is on the ledger from now
// on; whoever calls has the outbox flushed when the Server is unlocked.
func (s *Server) respond(w *watch, set []*entry, removed []string) errand {
	c := w.session
	w.learn(set, removed, s.cfg.Now().UnixNano())
	r := w.response(set, removed)
	w.waits, w.seq = false, w.fanout.seq
	n := size(r.set, removed)
	w.flying = append(w.flying, flight{nonce: r.nonce, entries: r.set, size: n})
	slow := c.unread > roomy
	c.unread += n
	c.outbox.push(r)
	if w.fanout.typ == xds.TypeCluster {
		s.follow(c)
	}
	return errand{c, slow}
}

// early says whether a proxy must not hear of endpoints yet, and has it told of them
// with their cluster: Envoy waits 15 s for the endpoints of a cluster that was edited,
// unless they come after it.
func (s *Server) early(w *watch, e *entry) bool {
	if e.ref.Type != xds.TypeEndpoint {
		return false
	}
	cluster, clusters := s.fanouts[xds.TypeCluster].entries[e.ref.Name], w.session.watches[xds.TypeCluster]
	if cluster == nil || clusters == nil || !clusters.hears(e.ref.Name) || clusters.has(cluster) {
		return false
	}
	w.behind = true
	return true
}

// follow tells a proxy of the endpoints that waited for the clusters it is told of.
func (s *Server) follow(c *session) {
	if w := c.watches[xds.TypeEndpoint]; w != nil && w.behind && w.waits {
		s.answer(w, true, false)
	}
}

// yield ends a turn, and gives it to the next.
func (s *Server) yield(w *watch) {
	if _, had := s.turns.taken[w]; had {
		delete(s.turns.taken, w)
		s.rouse()
	}
}

// admit lets those in whose turn it is.
func (s *Server) admit(now time.Time) (told []errand) {
	for w := s.turns.next(); w != nil; w = s.turns.next() {
		s.answer(w, true, true)
		for _, e := range w.fanout.entries {
			if b := s.ballots[e.ref]; b != nil && !b.waiting[w.session].IsZero() {
				b.waiting[w.session] = now // it was we who kept it waiting
			}
		}
		told = append(told, errand{w.session, true})
	}
	return told
}

// listed says whether Envoy asks for a type by asking for nothing in particular.
func (w *watch) listed() bool {
	switch w.fanout.typ {
	case xds.TypeCluster, xds.TypeListener, xds.TypeScope:
		return true
	case xds.TypeEndpoint, xds.TypeRoute:
	}
	return false
}

// subscribeAll has a watch hear of every name.
func (s *Server) subscribeAll(w *watch) {
	w.wildcard = true
	w.fanout.wild[w] = struct{}{}
	for _, e := range w.fanout.entries {
		s.owe(w, e)
	}
}

// subscribe has a watch hear of a name.
func (s *Server) subscribe(w *watch, n string) {
	e := w.fanout.entries[n]
	if e != nil {
		n = e.ref.Name // one copy for all proxies
	}
	w.record(n)
	w.fanout.subscribe(w, n)
	if e != nil {
		s.owe(w, e)
	}
}

// owe has the plan wait for a proxy that is new to e. What the proxy says it has
// already counts as taken.
func (s *Server) owe(w *watch, e *entry) {
	if w.has(e) {
		s.took(w, e, s.cfg.Now())
		return
	}
	s.await(e, w.session, s.cfg.Now())
	s.tellAgain(e)
}

// unsubscribe ends what a watch hears of a name, or of every name that it did not
// ask for by itself.
func (s *Server) unsubscribe(w *watch, n string) {
	if n != all {
		s.unsubscribeOne(w, n)
		return
	}
	w.wildcard = false
	delete(w.fanout.wild, w)
	for n := range w.held {
		if !w.named(n) {
			s.forget(w, n)
		}
	}
	for n := range w.fanout.entries {
		if w.held[n] == nil {
			s.forget(w, n)
		}
	}
}

func (s *Server) unsubscribeOne(w *watch, n string) {
	h := w.held[n]
	if h == nil {
		return
	}
	asked := w.named(n)
	w.fanout.unsubscribe(w, n)
	if w.wildcard && asked {
		h.distrust(w.fanout) // the protocol wants it repeated
		return
	}
	s.forget(w, n)
}

// forget ends what is known of a resource that a proxy no longer wants.
func (s *Server) forget(w *watch, n string) {
	w.forgive(n)
	if h := w.held[n]; h != nil {
		h.take(nil, 0)
		delete(w.held, n)
	}
	if b := s.ballots[xds.Ref{Type: w.fanout.typ, Name: n}]; b != nil {
		s.drop(b, w.session)
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
	if w.waits {
		s.answer(w, true, false)
	}
}

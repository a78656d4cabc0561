package ads

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/name"
)

// fleet is the ledger: which proxies are connected, what each was sent, and whom
// each change still waits for. The Server's lock guards it.
type fleet struct {
	fanouts   map[xds.Type]*fanout
	sessions  map[*session]struct{} // that have said who they are
	ballots   map[xds.Ref]*ballot
	placed    map[config.Key]xds.Place
	carried   map[string]map[config.Key]uint64 // table to inference routes and epochs, as wanted
	announced map[config.Key]uint64            // the epoch told by Acked, if all have it
	events    []Event
}

// ballot is the vote on an entry. It exists while somebody's answer is missing or
// is a refusal.
type ballot struct {
	entry   *entry
	waiting map[*session]time.Time // since when
	refused map[*session]bool      // those of waiting that said no
	late    map[*session]bool      // given up
}

func newFleet() fleet {
	f := fleet{
		fanouts:   map[xds.Type]*fanout{},
		sessions:  map[*session]struct{}{},
		ballots:   map[xds.Ref]*ballot{},
		carried:   map[string]map[config.Key]uint64{},
		announced: map[config.Key]uint64{},
	}
	for _, t := range []xds.Type{xds.TypeCluster, xds.TypeEndpoint, xds.TypeRoute, xds.TypeScope, xds.TypeListener} {
		f.fanouts[t] = newFanout(t)
	}
	return f
}

// carry notes which inference routes each table stands for.
func (f *fleet) carry(placed map[config.Key]xds.Place) {
	f.placed = placed
	f.carried = map[string]map[config.Key]uint64{}
	for k, p := range placed {
		if f.carried[p.Table] == nil {
			f.carried[p.Table] = map[config.Key]uint64{}
		}
		f.carried[p.Table][k] = p.Epoch
	}
}

// unanswered lists what a connected proxy has not yet answered or has refused.
func (f *fleet) unanswered() map[xds.Ref]bool {
	open := make(map[xds.Ref]bool, len(f.ballots))
	for ref, b := range f.ballots {
		if len(b.waiting) > 0 {
			open[ref] = true
		}
	}
	return open
}

// apply serves a change and claims every stream that hears of it.
func (f *fleet) apply(c xds.Change, now time.Time) []claim {
	fan := f.fanouts[c.Type]
	claims := map[*ticket]*claim{}
	var order []*claim
	take := func(w *watch) *claim {
		t := w.open
		if t == nil {
			return nil
		}
		if claims[t] == nil {
			claims[t] = &claim{ticket: t}
			order = append(order, claims[t])
		}
		return claims[t]
	}
	for _, r := range c.Set {
		e := newEntry(c.Type, r, f.carried[r.Name], now)
		fan.put(r.Name, e)
		delete(f.ballots, e.ref)
		fan.listeners(r.Name, func(w *watch) {
			f.await(e, w.session, now)
			if cl := take(w); cl != nil {
				cl.set = append(cl.set, e)
			}
		})
	}
	for _, n := range c.Removed {
		fan.put(n, nil)
		delete(f.ballots, xds.Ref{Type: c.Type, Name: n})
		fan.listeners(n, func(w *watch) {
			if cl := take(w); cl != nil {
				cl.removed = append(cl.removed, n)
			}
		})
	}
	out := make([]claim, len(order))
	for i, cl := range order {
		cl.ticket.watch.open = nil
		out[i] = *cl
	}
	return out
}

func (f *fleet) await(e *entry, c *session, now time.Time) {
	b := f.ballots[e.ref]
	if b == nil {
		b = &ballot{entry: e, waiting: map[*session]time.Time{}, refused: map[*session]bool{}, late: map[*session]bool{}}
		f.ballots[e.ref] = b
	}
	b.waiting[c] = now
}

// subscribe brings the index up to date with a stream's subscription. What the
// proxy says it has already counts as taken; what it lacks is waited for.
func (s *Server) subscribe(w *watch, first bool, names, gone []string) {
	if w.subscription.IsWildcard() {
		w.fanout.wild[w] = struct{}{}
	} else {
		delete(w.fanout.wild, w)
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
	if first && w.subscription.IsWildcard() {
		names = slices.Collect(maps.Keys(w.fanout.entries))
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

// forget ends what is known of a resource that a proxy no longer wants.
func (s *Server) forget(w *watch, resource string) {
	delete(w.refused, resource)
	if h := w.session.tables[resource]; h != nil && w.fanout.typ == xds.TypeRoute {
		h.take(nil, s.cfg.Now())
		delete(w.session.tables, resource)
	}
	if b := s.ballots[xds.Ref{Type: w.fanout.typ, Name: resource}]; b != nil {
		s.drop(b, w.session)
	}
}

// sent notes a response on its way.
func (s *Server) sent(w *watch, nonce string, entries []*entry) {
	now := s.cfg.Now()
	for _, e := range entries {
		if h := w.session.holding(e); h != nil {
			h.sent, h.sentAt = e, now
		}
	}
	w.flying = append(w.flying, flight{nonce: nonce, entries: entries})
}

// answered takes a proxy's ACK or NACK of the response with nonce.
func (s *Server) answered(w *watch, nonce string, nack *statuspb.Status) {
	i := slices.IndexFunc(w.flying, func(f flight) bool { return f.nonce == nonce })
	if i < 0 {
		return
	}
	entries := w.flying[i].entries
	w.flying = slices.Delete(w.flying, 0, i+1) // answers come in order
	now := s.cfg.Now()
	switch {
	case nack == nil:
		for _, e := range entries {
			s.took(w, e, now)
		}
	case len(entries) > 1:
		// A proxy does not say which of them it refused, so each is sent alone.
		w.suspects = append(w.suspects, entries...)
	default:
		for _, e := range entries {
			s.refused(w, e, nack.GetMessage(), now)
		}
	}
}

func (s *Server) took(w *watch, e *entry, now time.Time) {
	delete(w.refused, e.ref.Name)
	if h := w.session.holding(e); h != nil {
		if h.sent == nil {
			h.sent, h.sentAt = e, now
		}
		h.take(e, now)
		h.nack = ""
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

func (s *Server) refused(w *watch, e *entry, text string, now time.Time) {
	w.refused[e.ref.Name] = text
	if h := w.session.holding(e); h != nil {
		h.nack, h.nackAt = text, now
	}
	if b := s.ballots[e.ref]; b != nil && b.entry == e {
		b.refused[w.session] = true
	}
	s.cfg.Log.Warn("a proxy refused a resource", "proxy", w.session.proxy, "resource", e.ref.Name, "text", text)
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
	delete(b.waiting, c)
	delete(b.refused, c)
	delete(b.late, c)
	if len(b.waiting) > 0 {
		return
	}
	if len(b.late) == 0 {
		delete(s.ballots, b.entry.ref)
	}
	s.announce(b.entry, s.cfg.Now())
	s.rouse() // the plan may go on
}

// announce tells that every proxy waited for has taken a table, once per epoch
// unless tellAgain asks for more.
func (s *Server) announce(e *entry, now time.Time) {
	b := s.ballots[e.ref]
	current := s.fanouts[e.ref.Type].entries[e.ref.Name] == e
	if !current || len(e.carries) == 0 || b != nil && len(b.waiting)+len(b.refused) > 0 {
		return
	}
	if e.takers == 0 {
		return
	}
	for _, k := range slices.SortedFunc(maps.Keys(e.carries), config.Key.Compare) {
		if epoch := e.carries[k]; s.announced[k] != epoch {
			s.announced[k] = epoch
			s.tell(Acked{Route: k, Epoch: epoch, Proxies: e.takers, At: now})
		}
	}
}

// tellAgain makes the next announcement of a table one, though nothing changed.
func (s *Server) tellAgain(e *entry) {
	for k := range e.carries {
		delete(s.announced, k)
	}
}

// expire gives up on proxies that have not answered for timeout, and says when to
// look again.
func (s *Server) expire(now time.Time, timeout time.Duration) (due time.Time) {
	for ref, b := range s.ballots {
		var stuck []string
		for c, since := range b.waiting {
			at := since.Add(timeout)
			if now.Before(at) {
				due = earlier(due, at)
				continue
			}
			delete(b.waiting, c)
			b.late[c] = true
			if !b.refused[c] {
				stuck = append(stuck, c.proxy)
			}
		}
		if len(stuck) > 0 {
			slices.Sort(stuck)
			s.cfg.Log.Warn("proxies do not answer", "proxies", strings.Join(stuck, " "), "resource", ref.Name)
			for _, r := range s.concerns(ref) {
				s.tell(TimedOut{Route: r.Route, Epoch: r.Epoch, Resource: ref, Proxies: stuck, At: now})
			}
			s.announce(b.entry, now)
		}
	}
	return due
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

// holding gives the record of a table; other types have none.
func (c *session) holding(e *entry) *holding {
	if e.ref.Type != xds.TypeRoute {
		return nil
	}
	h := c.tables[e.ref.Name]
	if h == nil {
		h = &holding{}
		c.tables[e.ref.Name] = h
	}
	return h
}

func (s *Server) join(c *session) {
	s.sessions[c] = struct{}{}
	s.tell(Connected{Proxy: c.proxy, At: c.since})
	s.cfg.Log.Info("proxy connected", "proxy", c.proxy, "envoy", c.build)
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
	s.cfg.Log.Info("proxy disconnected", "proxy", c.proxy)
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

func versionString(major, minor, patch uint32) string {
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

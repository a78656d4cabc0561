package ads

import (
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

const (
	offerBase = time.Second
	offerMax  = 30 * time.Second
)

// refusal is what a proxy said of an entry that it did not take.
type refusal struct {
	entry *entry
	text  string
	at    time.Time
	tries int       // how often it said so
	told  bool      // of some inference route, with this text
	again time.Time // when it is asked once more; zero: never, or it is being asked
}

// patience is how long a listener rests after so many refusals of it. What was in
// its way may go by itself: a port that another program holds.
func patience(tries int) time.Duration {
	return min(offerBase<<min(tries-1, 10), offerMax)
}

// refuse notes a refusal, and says whether the proxy had said the same before.
func (w *watch) refuse(e *entry, text string, now time.Time) (known bool) {
	r := w.refused[e.ref.Name]
	known = r.entry == e && r.text == text
	if r.entry != e {
		r = refusal{entry: e}
	}
	r.text, r.at, r.told = text, now, r.told && known
	r.tries++
	if e.ref.Type == xds.TypeListener {
		r.again = now.Add(patience(r.tries))
	}
	if w.refused == nil {
		w.refused = map[string]refusal{}
	}
	w.refused[e.ref.Name] = r
	return known
}

// forgive forgets that a resource was refused.
func (w *watch) forgive(resource string) { delete(w.refused, resource) }

// schedule has offerAgain look at a watch.
func (s *Server) schedule(w *watch) {
	if w.fanout.typ == xds.TypeListener {
		s.refusing[w] = struct{}{}
		s.rouse()
	}
}

// offerAgain asks proxies whether they take what they refused, where it is time,
// and says when to look again, and which streams have something to write.
func (s *Server) offerAgain(now time.Time) (due time.Time, told []errand) {
	for w := range s.refusing {
		for n, r := range w.refused {
			switch {
			case w.fanout.entries[n] != r.entry:
				w.forgive(n)
			case r.again.IsZero():
			case now.Before(r.again):
				due = earlier(due, r.again)
			default:
				r.again = time.Time{}
				w.refused[n] = r
				w.suspects = append(w.suspects, r.entry)
			}
		}
		if len(w.refused) == 0 {
			delete(s.refusing, w)
		}
		if set := w.suspectNow(); set != nil {
			told = append(told, s.respond(w, set, nil))
		}
	}
	return due, told
}

// suspectNow is nextSuspect of a proxy that may be told.
func (w *watch) suspectNow() []*entry {
	if !w.waits {
		return nil
	}
	return w.nextSuspect()
}

// refusedOf takes the refusal of a whole list. Envoy names the listeners and
// clusters that it did not take, and takes the others.
func (s *Server) refusedOf(w *watch, entries []*entry, text string, now time.Time) {
	var named, others []*entry
	for _, e := range entries {
		if mentions(text, e.ref.Name) {
			named = append(named, e)
		} else {
			others = append(others, e)
		}
	}
	switch {
	case len(named) == 0:
		named = s.owed(w, others)
	case w.fanout.typ != xds.TypeScope:
		for _, e := range others {
			s.took(w, e, now)
		}
	}
	for _, e := range named {
		s.refused(w, e, text, now)
	}
}

// owed lists those of entries that a proxy has not answered before.
func (s *Server) owed(w *watch, entries []*entry) []*entry {
	var list []*entry
	for _, e := range entries {
		if b := s.ballots[e.ref]; b != nil && b.entry == e && !b.waiting[w.session].IsZero() {
			list = append(list, e)
		}
	}
	return list
}

// mentions says whether a text has a name in it that is not a part of a longer one.
func mentions(text, name string) bool {
	for at := 0; ; at++ {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		at += i
		if !inName(text, at-1) && !inName(text, at+len(name)) {
			return true
		}
	}
}

func inName(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c == '-' || c == '/' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// remind tells which ports of an inference route are not open yet, and again whenever
// it was published, or acknowledged where requests come in meanwhile.
func (s *Server) remind(now time.Time) {
	for _, k := range s.landed {
		s.announce(k, now)
	}
	s.landed = nil
	if len(s.reminding) == 0 {
		return
	}
	for w := range s.refusing {
		for n := range w.refused {
			if _, stands := s.refusalOf(w.session, n); stands {
				s.remindOf(w, n, now)
			}
		}
	}
	clear(s.reminding)
}

// isRefused says whether a proxy refuses a listener of an inference route.
func (s *Server) isRefused(k config.Key) bool {
	for w := range s.refusing {
		for n := range w.refused {
			_, stands := s.refusalOf(w.session, n)
			if stands && slices.Contains(s.ways[xds.Ref{Type: xds.TypeListener, Name: n}], k) {
				return true
			}
		}
	}
	return false
}

func (s *Server) remindOf(w *watch, listener string, now time.Time) {
	r, ref := w.refused[listener], xds.Ref{Type: w.fanout.typ, Name: listener}
	for _, c := range s.concerns(ref) {
		if s.reminding[c.Route] {
			s.tell(Nacked{Route: c.Route, Epoch: c.Epoch, Proxy: w.session.proxy, Resource: ref, Text: r.text, At: now, again: r.told})
			r.told = true
		}
	}
	w.refused[listener] = r
}

// excuse no longer waits for tables that only a refused listener would load.
func (f *fleet) excuse(c *session, listener string) {
	for _, k := range f.ways[xds.Ref{Type: xds.TypeListener, Name: listener}] {
		for _, place := range f.places(k) {
			if b := f.ballots[xds.Ref{Type: xds.TypeRoute, Name: place.Table}]; place.Listener == listener && b != nil {
				if _, waits := b.waiting[c]; waits {
					b.refused[c] = true
				}
			}
		}
	}
}

// behindRefusal says whether e is a table behind a listener that a proxy refused.
func (f *fleet) behindRefusal(e *entry, c *session) bool {
	w := c.watches[xds.TypeListener]
	if e.ref.Type != xds.TypeRoute || w == nil || len(w.refused) == 0 {
		return false
	}
	for k := range e.carries {
		for _, place := range f.places(k) {
			if place.Table == e.ref.Name && f.shuts(c, place.Listener) {
				return true
			}
		}
	}
	return false
}

// refusalOf gives a proxy's refusal of a listener as it is served.
func (f *fleet) refusalOf(c *session, listener string) (refusal, bool) {
	w := c.watches[xds.TypeListener]
	if w == nil {
		return refusal{}, false
	}
	r := w.refused[listener]
	return r, r.entry != nil && r.entry == w.fanout.entries[listener]
}

// shuts says whether a proxy refuses a listener, and has not kept an older one
// under its name.
func (f *fleet) shuts(c *session, listener string) bool {
	_, refused := f.refusalOf(c, listener)
	return refused && !c.listens(listener)
}

// listens says whether a proxy has a listener, in any version.
func (c *session) listens(listener string) bool {
	h := c.holds(xds.TypeListener, listener)
	return h != nil && h.acked != nil
}

// opensTo says whether requests come in at a listener on every proxy that is
// waited for, be it an older version of it that was kept.
func (f *fleet) opensTo(l *entry) bool {
	b := f.ballots[l.ref]
	if b == nil || b.entry != l {
		return true
	}
	for c := range b.waiting {
		if !b.refused[c] || !c.listens(l.ref.Name) {
			return false
		}
	}
	for c := range b.refused {
		if !c.listens(l.ref.Name) {
			return false
		}
	}
	return true
}

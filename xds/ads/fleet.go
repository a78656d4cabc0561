package ads

import (
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// fleet is the ledger: which proxies are connected, what each was sent, and whom
// each change still waits for. The Server's lock guards it.
type fleet struct {
	fanouts      map[xds.Type]*fanout
	sessions     map[*session]struct{} // that have said who they are
	ballots      map[xds.Ref]*ballot
	placed       map[config.Key]xds.Place
	former       map[config.Key][]xds.Place       // where those that move are led as well
	ways         map[xds.Ref][]config.Key         // tables, scopes and listeners to the inference routes behind them, sorted
	opened       map[string]bool                  // served listeners that some proxy has taken
	closing      map[config.Key]time.Time         // since when the former ports of an inference route drain
	carried      map[string]map[config.Key]uint64 // table to inference routes and epochs, as wanted
	patience     map[config.Key]time.Duration     // how long proxies are waited for; of the others, AckTimeout
	announced    map[config.Key]uint64            // the epoch told by Acked, if all have it
	landed       []config.Key                     // have no listening former port any more, which is to be told
	kept         bool                             // where proxies listen was told
	reminding    map[config.Key]bool              // whose refused listeners are to be told of
	refusing     map[*watch]struct{}              // may have refused listeners
	turns        turns
	refusedNodes map[string]bool // by id and reason
	events       []Event
}

// ballot is the vote on an entry. It exists while somebody's answer is missing or
// is a refusal.
type ballot struct {
	entry   *entry
	timeout time.Duration          // how long each is waited for; 0: not looked up yet
	waiting map[*session]time.Time // since when
	refused map[*session]bool      // those of waiting that said no
	late    map[*session]bool      // given up
}

// newBallot is for so many voters, or more.
func newBallot(e *entry, voters int) *ballot {
	return &ballot{
		entry: e, waiting: make(map[*session]time.Time, voters),
		refused: map[*session]bool{}, late: map[*session]bool{},
	}
}

func newFleet() fleet {
	f := fleet{
		fanouts:      map[xds.Type]*fanout{},
		sessions:     map[*session]struct{}{},
		ballots:      map[xds.Ref]*ballot{},
		opened:       map[string]bool{},
		closing:      map[config.Key]time.Time{},
		carried:      map[string]map[config.Key]uint64{},
		announced:    map[config.Key]uint64{},
		reminding:    map[config.Key]bool{},
		refusing:     map[*watch]struct{}{},
		turns:        turns{taken: map[*watch]time.Time{}},
		refusedNodes: map[string]bool{},
	}
	for _, t := range []xds.Type{xds.TypeCluster, xds.TypeEndpoint, xds.TypeRoute, xds.TypeScope, xds.TypeListener} {
		f.fanouts[t] = newFanout(t)
	}
	return f
}

// carry notes where each inference route is led.
func (f *fleet) carry(r xds.Resources) {
	for k, places := range f.former {
		if listened(places) && !listened(r.Former[k]) {
			delete(f.announced, k) // it is nobody's refusal any more
			f.landed = append(f.landed, k)
		}
	}
	moves := len(f.former)+len(r.Former) > 0 || len(f.placed) != len(r.Placed)
	for k, place := range r.Placed {
		before, there := f.placed[k]
		if there && samePlace(before, place) && before.Epoch == place.Epoch {
			continue
		}
		f.reminding[k] = true
		if moves = moves || !there || !samePlace(before, place); !moves {
			f.carried[place.Table] = maps.Clone(f.carried[place.Table]) // entries have the other
			f.carried[place.Table][k] = place.Epoch
		}
	}
	f.placed, f.former = r.Placed, r.Former
	if moves {
		f.index()
	}
	maps.DeleteFunc(f.announced, func(k config.Key, _ uint64) bool { _, there := r.Placed[k]; return !there })
	maps.DeleteFunc(f.closing, func(k config.Key, _ time.Time) bool { return len(r.Former[k]) == 0 })
}

// samePlace says whether two places are one, under whatever split.
func samePlace(a, b xds.Place) bool {
	return a.Table == b.Table && a.Listener == b.Listener && slices.Equal(a.Scopes, b.Scopes)
}

// index finds inference routes by what leads to them.
func (f *fleet) index() {
	f.carried = map[string]map[config.Key]uint64{}
	f.ways = map[xds.Ref][]config.Key{}
	for _, k := range slices.SortedFunc(maps.Keys(f.placed), config.Key.Compare) {
		for _, p := range f.places(k) {
			if f.carried[p.Table] == nil {
				f.carried[p.Table] = map[config.Key]uint64{}
			}
			f.carried[p.Table][k] = p.Epoch
			for _, ref := range waysTo(p) {
				if list := f.ways[ref]; len(list) == 0 || list[len(list)-1] != k {
					f.ways[ref] = append(list, k)
				}
			}
		}
	}
}

// waysTo lists what leads to a place.
func waysTo(p xds.Place) []xds.Ref {
	refs := []xds.Ref{{Type: xds.TypeRoute, Name: p.Table}}
	if p.Listener != "" {
		refs = append(refs, xds.Ref{Type: xds.TypeListener, Name: p.Listener})
	}
	for _, n := range p.Scopes {
		refs = append(refs, xds.Ref{Type: xds.TypeScope, Name: n})
	}
	return refs
}

// places lists where an inference route is led: where it is wanted first.
func (f *fleet) places(k config.Key) []xds.Place {
	return append([]xds.Place{f.placed[k]}, f.former[k]...)
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

// apply serves a change, and gives the streams that have something to write then.
func (s *Server) apply(c xds.Change, now time.Time) []errand {
	fan := s.fanouts[c.Type]
	var told []*watch
	tell := func(w *watch) bool {
		if w.waits && len(w.set)+len(w.removed) == 0 {
			told = append(told, w)
		}
		return w.waits // the others are found lacking when they have answered
	}
	for _, r := range c.Set {
		e := newEntry(c.Type, r, s.carried[r.Name], now)
		fan.put(r.Name, e)
		delete(s.ballots, e.ref)
		if n := fan.audience(r.Name); n > 0 {
			s.ballots[e.ref] = newBallot(e, n)
		}
		fan.listeners(r.Name, func(w *watch) {
			s.await(e, w.session, now)
			if !s.early(w, e) && tell(w) {
				w.set = with(w.set, e)
			}
		})
	}
	for _, n := range c.Removed {
		fan.put(n, nil)
		delete(s.ballots, xds.Ref{Type: c.Type, Name: n})
		if c.Type == xds.TypeListener {
			delete(s.opened, n)
		}
		fan.listeners(n, func(w *watch) {
			w.forgive(n)
			if tell(w) {
				w.removed = append(w.removed, n)
			}
		})
	}
	return s.tellWatches(told)
}

// with adds e to what is sent, in one piece for all proxies where it is alone.
func with(set []*entry, e *entry) []*entry {
	if len(set) == 0 {
		return e.alone
	}
	return append(set, e)
}

// tellWatches sends what apply has for them.
func (s *Server) tellWatches(told []*watch) []errand {
	list := make([]errand, 0, len(told))
	for _, w := range told {
		set, removed := w.fit(w.set), w.removed
		w.set, w.removed = nil, nil
		list = append(list, s.respond(w, set, removed))
	}
	return list
}

// await has the plan wait until c has answered e.
func (f *fleet) await(e *entry, c *session, now time.Time) {
	b := f.ballots[e.ref]
	if b == nil {
		b = newBallot(e, 1)
		f.ballots[e.ref] = b
	}
	b.waiting[c] = now
	if f.behindRefusal(e, c) {
		b.refused[c] = true // nothing leads a request there, nor has the proxy load it
	}
	if t := f.fanouts[xds.TypeRoute].entries[e.table]; t != nil && !c.has(t) {
		f.await(t, c, now) // it will ask for the table, but has not yet
	}
}

// has says whether a proxy has taken e, a table.
func (c *session) has(e *entry) bool {
	w := c.watches[xds.TypeRoute]
	if w == nil {
		return false
	}
	h := w.held[e.ref.Name]
	return h != nil && h.acked == e
}

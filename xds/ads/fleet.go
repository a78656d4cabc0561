package ads

import (
	"fmt"
	"maps"
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
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
	refusing  map[*watch]struct{}              // may have refused listeners
	events    []Event
	claimed   []claim // what Run has to send
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
		refusing:  map[*watch]struct{}{},
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
	maps.DeleteFunc(f.announced, func(k config.Key, _ uint64) bool { _, there := placed[k]; return !there })
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
	claims := claims{at: map[*ticket]int{}}
	for _, r := range c.Set {
		e := newEntry(c.Type, r, f.carried[r.Name], now)
		fan.put(r.Name, e)
		delete(f.ballots, e.ref)
		fan.listeners(r.Name, func(w *watch) {
			f.await(e, w.session, now)
			claims.add(w, func(c *claim) { c.set = append(c.set, e) })
		})
	}
	for _, n := range c.Removed {
		fan.put(n, nil)
		delete(f.ballots, xds.Ref{Type: c.Type, Name: n})
		fan.listeners(n, func(w *watch) {
			w.forgive(n)
			claims.add(w, func(c *claim) { c.removed = append(c.removed, n) })
		})
	}
	for _, c := range claims.list {
		c.ticket.watch.open = nil
	}
	return claims.list
}

// claims collects what each stream with an open ticket is to hear.
type claims struct {
	list []claim
	at   map[*ticket]int
}

func (c *claims) add(w *watch, fill func(*claim)) {
	if w.open == nil {
		return // it is found stale when the proxy has answered
	}
	i, known := c.at[w.open]
	if !known {
		i = len(c.list)
		c.at[w.open] = i
		c.list = append(c.list, claim{ticket: w.open})
	}
	fill(&c.list[i])
}

// await has the plan wait until c has answered e.
func (f *fleet) await(e *entry, c *session, now time.Time) {
	b := f.ballots[e.ref]
	if b == nil {
		b = &ballot{entry: e, waiting: map[*session]time.Time{}, refused: map[*session]bool{}, late: map[*session]bool{}}
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
	h := c.tables[e.ref.Name]
	return h != nil && h.acked == e
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

func versionString(major, minor, patch uint32) string {
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

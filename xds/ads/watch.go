package ads

import (
	"slices"
	"strconv"

	"github.com/sluice-dev/sluice/xds"
)

// watch is what one stream hears of one type. The Server's lock guards it.
type watch struct {
	session *session
	fanout  *fanout

	asked    bool // once, at least
	wildcard bool // it hears of every name
	waits    bool // nothing is unanswered: it may be told what comes
	anew     bool // it is to be told everything again
	more     bool // it lacks what did not fit into the last response
	behind   bool // it lacks endpoints of clusters that the proxy is to hear of before
	queued   bool // it waits for its turn
	held     map[string]*held
	spare    []held   // made in one piece, for the collector's sake
	seq      uint64   // of the fanout, when the proxy was last compared with it
	flying   []flight // responses without an answer
	suspects []*entry // of a refused response, and refused listeners whose time has come; sent one by one
	refused  map[string]refusal
	latest   string // nonce of the last response; state of the world only

	// What the change in hand has for the proxy.
	set     []*entry
	removed []string
}

// held is what is known of one resource at one proxy. There are as many as proxies
// times resources, so it is small.
type held struct {
	told, acked     *entry
	toldAt, ackedAt int64 // ns since 1970
}

// take notes that the proxy has e now; nil: nothing.
func (h *held) take(e *entry, at int64) {
	if h.acked != nil {
		h.acked.takers--
	}
	if e != nil {
		e.takers++
	}
	h.acked, h.ackedAt = e, at
}

// flight is a response that has been sent and not answered.
type flight struct {
	nonce   string
	entries []*entry
	size    int
}

// record gives what is held of a name.
func (w *watch) record(n string) *held {
	h := w.held[n]
	if h != nil {
		return h
	}
	if len(w.spare) == 0 {
		w.spare = make([]held, max(1, min(len(w.held), 32)))
	}
	h, w.spare = &w.spare[0], w.spare[1:]
	w.held[n] = h
	return h
}

// has says whether the proxy was told e last, or said that it has it.
func (w *watch) has(e *entry) bool {
	h := w.held[e.ref.Name]
	return h != nil && h.told == e
}

// recall takes what a proxy that comes back says it has.
func (w *watch) recall(versions map[string]string) {
	for n, version := range versions {
		h := w.record(n)
		h.told = w.fanout.other
		if e := w.fanout.entries[n]; e != nil && e.version == version {
			h.told = e
		}
	}
}

// prune drops what a proxy recalled and did not ask for.
func (w *watch) prune(versions map[string]string) {
	for n := range versions {
		if !w.hears(n) {
			delete(w.held, n)
		}
	}
}

// distrust has everything sent again that is served, and taken away that is not.
func (w *watch) distrust() {
	for _, h := range w.held {
		h.distrust(w.fanout)
	}
}

// repeat has a name sent again that the proxy asks for again: it no longer has it, and
// may wait for it.
func (w *watch) repeat(n string) {
	if h := w.held[n]; h != nil {
		h.distrust(w.fanout)
	}
}

// miss has a proxy told that endpoints are gone which it asks for: a cluster of its own
// may wait for them.
func (w *watch) miss(n string) {
	if w.fanout.typ == xds.TypeEndpoint && w.fanout.entries[n] == nil {
		w.record(n).told = w.fanout.other
	}
}

func (h *held) distrust(f *fanout) {
	if h.told != nil {
		h.told = f.other
	}
}

// lacks lists what the proxy must hear: entries that it was not told of, and names it
// has that are gone. An entry that went and came back as it was is another one, whose
// answer is waited for. Unless whole, only what has changed since it was last compared
// is looked at.
func (w *watch) lacks(whole bool) (set []*entry, removed []string) {
	recent, ok := w.fanout.since(w.seq)
	w.seq = w.fanout.seq
	visit := func(n string) {
		e, h := w.fanout.entries[n], w.held[n]
		switch {
		case e == nil && h != nil && h.told != nil:
			removed = append(removed, n)
		case e != nil && (h == nil || h.told != e):
			set = append(set, e)
		}
	}
	switch {
	case !whole && ok:
		for i, n := range recent {
			if w.hears(n) && !slices.Contains(recent[:i], n) {
				visit(n)
			}
		}
	default:
		w.names(visit)
	}
	slices.Sort(removed)
	return sortEntries(set), removed
}

// hears says whether the watch is told of a name.
func (w *watch) hears(n string) bool {
	return w.wildcard || w.named(n)
}

// named says whether the proxy asked for a name by itself.
func (w *watch) named(n string) bool {
	_, asked := w.fanout.byName[n][w]
	return asked
}

// names visits every name that the watch is told of or has.
func (w *watch) names(visit func(string)) {
	for n := range w.held {
		visit(n)
	}
	if !w.wildcard {
		return
	}
	for n := range w.fanout.entries {
		if w.held[n] == nil {
			visit(n)
		}
	}
}

// learn brings what the proxy is known to have up to date.
func (w *watch) learn(set []*entry, removed []string, at int64) {
	for _, e := range set {
		h := w.record(e.ref.Name)
		h.told, h.toldAt = e, at
	}
	for _, n := range removed {
		h := w.held[n]
		if h == nil {
			continue
		}
		h.take(nil, 0)
		h.told = nil
		if !w.named(n) {
			delete(w.held, n)
		}
	}
}

// size of a response with set, roughly.
func size(set []*entry, removed []string) int {
	n := 0
	for _, e := range set {
		n += len(e.increment)
	}
	for _, name := range removed {
		n += len(name)
	}
	return n
}

// response makes the next response.
func (w *watch) response(set []*entry, removed []string) *response {
	c := w.session
	c.nonces++
	r := &response{typ: w.fanout.typ, nonce: strconv.FormatUint(c.nonces, 10), set: set, removed: removed}
	if !c.incremental {
		w.widen(r)
	}
	return r
}

// nextSuspect gives one of a refused response's resources, if it is still served.
func (w *watch) nextSuspect() []*entry {
	for len(w.suspects) > 0 {
		e := w.suspects[0]
		w.suspects = w.suspects[1:]
		if w.fanout.entries[e.ref.Name] == e {
			return []*entry{e}
		}
	}
	return nil
}

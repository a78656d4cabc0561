package ads

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
)

// watch is what one stream hears of one type. The Server's lock guards it, except
// for what belongs to the stream's goroutine.
type watch struct {
	session *session
	fanout  *fanout

	subscription cache.Subscription
	wildcard     bool     // it hears of every name
	anew         bool     // it is to be told everything again
	sending      []*entry // of the response that is being sent; the stream's goroutine's, too
	seq          uint64   // of the fanout, when the proxy was last compared with it
	open         *ticket
	flying       []flight // responses without an answer
	suspects     []*entry // of a refused response, and refused listeners whose time has come; sent one by one
	refused      map[string]refusal
}

// flight is a response that has been sent and not answered.
type flight struct {
	nonce   string
	entries []*entry
}

// ticket lets one response be sent to a stream, from outside the Server's lock.
type ticket struct {
	watch   *watch
	deliver func(set []*entry, removed []string)

	mu   sync.Mutex
	dead bool // the stream may have gone
}

func (t *ticket) cancel() {
	t.mu.Lock()
	t.dead = true
	t.mu.Unlock()
}

// claim is a ticket taken for a response.
type claim struct {
	ticket  *ticket
	set     []*entry
	removed []string
	repeats bool // what the proxy has been told before
}

// send hands the response to the stream, unless that has asked or gone in the
// meantime. It does not block: go-control-plane's channels have room for a
// response per type, and a ticket is used once.
func (c claim) send() bool {
	c.ticket.mu.Lock()
	defer c.ticket.mu.Unlock()
	if c.ticket.dead {
		return false
	}
	c.ticket.deliver(c.set, c.removed)
	return true
}

// staleOfLate lists what the proxy must hear of what has changed since it was
// last compared. Like staleOfAll it belongs to the stream's goroutine, under the
// Server's lock.
func (w *watch) staleOfLate() (set []*entry, removed []string) {
	recent, ok := w.fanout.since(w.seq)
	if !ok {
		return w.staleOfAll()
	}
	subscribed := w.subscription.SubscribedResources()
	names := make(map[string]struct{}, len(recent))
	for _, n := range recent {
		if _, mine := subscribed[n]; mine || w.wildcard {
			names[n] = struct{}{}
		}
	}
	return w.stale(maps.Keys(names))
}

// staleOfAll lists what the proxy must hear: entries it has in another version or
// not at all, and names it has that are gone.
func (w *watch) staleOfAll() (set []*entry, removed []string) {
	if !w.wildcard {
		return w.stale(maps.Keys(w.subscription.SubscribedResources()))
	}
	names := make(map[string]struct{}, len(w.fanout.entries))
	for n := range w.fanout.entries {
		names[n] = struct{}{}
	}
	for n := range w.subscription.ReturnedResources() {
		names[n] = struct{}{}
	}
	return w.stale(maps.Keys(names))
}

func (w *watch) stale(names iter.Seq[string]) (set []*entry, removed []string) {
	known := w.subscription.ReturnedResources()
	for n := range names {
		e, exists := w.fanout.entries[n]
		version, has := known[n]
		switch {
		case exists && version != e.version:
			set = append(set, e)
		case !exists && has:
			removed = append(removed, n)
		}
	}
	w.seq = w.fanout.seq
	slices.Sort(removed)
	return sortEntries(set), removed
}

// learn brings what the proxy is known to have up to date, in place.
func (w *watch) learn(set []*entry, removed []string) map[string]string {
	known := w.subscription.ReturnedResources()
	for _, e := range set {
		known[e.ref.Name] = e.version
	}
	for _, n := range removed {
		delete(known, n)
	}
	return known
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

// deltaResponse is one incremental response. The subscription is brought up to
// date when the stream's goroutine sends it.
type deltaResponse struct {
	watch   *watch
	request *discoverypb.DeltaDiscoveryRequest
	set     []*entry
	removed []string
}

func (r *deltaResponse) GetDeltaDiscoveryResponse() (*discoverypb.DeltaDiscoveryResponse, error) {
	r.watch.sending = r.set
	out := &discoverypb.DeltaDiscoveryResponse{TypeUrl: string(r.watch.fanout.typ), RemovedResources: r.removed}
	for _, e := range r.set {
		out.Resources = append(out.Resources, e.wire)
	}
	return out, nil
}

func (r *deltaResponse) GetReturnedResources() map[string]string {
	return r.watch.learn(r.set, r.removed)
}

func (r *deltaResponse) GetNextVersionMap() map[string]string                { return r.GetReturnedResources() }
func (r *deltaResponse) GetDeltaRequest() *discoverypb.DeltaDiscoveryRequest { return r.request }
func (r *deltaResponse) GetSystemVersion() (string, error)                   { return "", nil }
func (r *deltaResponse) GetResponseVersion() string                          { return "" }
func (r *deltaResponse) GetContext() context.Context                         { return context.Background() }

var _ cache.DeltaResponse = (*deltaResponse)(nil)

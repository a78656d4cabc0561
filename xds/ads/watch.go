package ads

import (
	"context"
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
	sending      []*entry // of the response that is being sent; the stream's goroutine's, too
	seq          uint64   // of the fanout, when the proxy was last compared with it
	open         *ticket
	flying       []flight          // responses without an answer
	suspects     []*entry          // of a refused response; sent again one by one
	refused      map[string]string // name to the proxy's words
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
}

// send hands the response to the stream. It does not block: go-control-plane's
// channels have room for a response per type, and a ticket is used once.
func (c claim) send() {
	c.ticket.mu.Lock()
	defer c.ticket.mu.Unlock()
	if !c.ticket.dead {
		c.ticket.deliver(c.set, c.removed)
	}
}

// stale lists what the proxy must hear: entries it has in another version or not
// at all, and names it has that are gone. It belongs to the stream's goroutine,
// under the Server's lock.
func (w *watch) stale(whole bool) (set []*entry, removed []string) {
	known := w.subscription.ReturnedResources()
	check := func(name string) {
		e, exists := w.fanout.entries[name]
		version, has := known[name]
		switch {
		case exists && version != e.version:
			set = append(set, e)
		case !exists && has:
			removed = append(removed, name)
		}
	}
	w.candidates(whole, known, check)
	w.seq = w.fanout.seq
	return sortEntries(set), removed
}

// candidates visits each name that may be stale once.
func (w *watch) candidates(whole bool, known map[string]string, visit func(string)) {
	subscribed := w.subscription.SubscribedResources()
	wildcard := w.subscription.IsWildcard()
	if recent, ok := w.fanout.since(w.seq); ok && !whole {
		seen := make(map[string]struct{}, len(recent))
		for _, n := range recent {
			_, mine := subscribed[n]
			if _, twice := seen[n]; !twice && (mine || wildcard) {
				visit(n)
			}
			seen[n] = struct{}{}
		}
		return
	}
	if !wildcard {
		for n := range subscribed {
			visit(n)
		}
		return
	}
	for n := range w.fanout.entries {
		visit(n)
	}
	for n := range known {
		if _, exists := w.fanout.entries[n]; !exists {
			visit(n)
		}
	}
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

package ads

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"

	"github.com/sluice-dev/sluice/xds"
)

// StreamAggregatedResources serves one proxy the state of the world until it goes.
func (s *Server) StreamAggregatedResources(stream discoverypb.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	ctx, c := s.open(stream.Context())
	defer c.close()
	return sotw.NewServer(ctx, c, c, named()).StreamHandler(stream, anyType)
}

// OnStreamOpen does nothing: the proxy has not said who it is.
func (c *session) OnStreamOpen(context.Context, int64, string) error { return nil }

// OnStreamClosed does nothing: the handler's end does.
func (c *session) OnStreamClosed(int64, *corepb.Node) {}

// OnStreamRequest takes a proxy's answer to a response, if the request is one.
func (c *session) OnStreamRequest(_ int64, req *discoverypb.DiscoveryRequest) error {
	return c.heard(req.GetNode(), xds.Type(req.GetTypeUrl()), req.GetResponseNonce(), req.GetErrorDetail())
}

// OnStreamResponse notes what is being sent.
func (c *session) OnStreamResponse(_ context.Context, _ int64, _ *discoverypb.DiscoveryRequest, resp *discoverypb.DiscoveryResponse) {
	c.told(xds.Type(resp.GetTypeUrl()), resp.GetNonce())
}

// CreateWatch answers req at once if the proxy lacks something, or waits until it
// does.
func (c *session) CreateWatch(req *discoverypb.DiscoveryRequest, sub cache.Subscription, out chan cache.Response) (func(), error) {
	s := c.server
	s.mu.Lock()
	w, err := c.watch(xds.Type(req.GetTypeUrl()))
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	first := w.subscription == nil
	var before map[string]struct{}
	if !first {
		before = w.subscription.SubscribedResources()
	}
	wild := sub.IsWildcard() && !w.wildcard
	w.subscription, w.wildcard = sub, sub.IsWildcard()
	if first && req.GetVersionInfo() != "" && req.GetVersionInfo() == versionOf(w.world()) {
		w.learn(w.world(), nil) // it comes back with what it had
	}
	s.subscribe(w, missing(sub.SubscribedResources(), before), missing(before, sub.SubscribedResources()))
	t := &ticket{watch: w}
	t.deliver = func(set []*entry, removed []string) {
		out <- &worldResponse{watch: w, request: req, set: set, removed: removed}
	}
	if w.anew {
		w.anew = false
		w.distrust()
	}
	lacks := claim{ticket: t}
	lacks.set, lacks.removed = w.staleOfAll()
	if wild {
		return s.answer(lacks), nil
	}
	return s.answerOrWait(lacks), nil
}

// missing lists, sorted, what is in a and not in b.
func missing(a, b map[string]struct{}) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a)), func(n string) bool { _, ok := b[n]; return ok })
}

// world lists everything that the proxy subscribes to, sorted. The Server's lock
// must be held.
func (w *watch) world() []*entry {
	var all []*entry
	if w.wildcard {
		all = slices.Collect(maps.Values(w.fanout.entries))
	} else {
		for n := range w.subscription.SubscribedResources() {
			if e := w.fanout.entries[n]; e != nil {
				all = append(all, e)
			}
		}
	}
	return sortEntries(all)
}

// versionOf stands for a whole list, the same on every replica.
func versionOf(world []*entry) string {
	h := sha256.New()
	for _, e := range world {
		h.Write([]byte(e.ref.Name + "\x00" + e.version + "\x00"))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// whole says whether each response to a watch is the whole list. In the others,
// what is missing stays.
func (w *watch) whole() bool {
	switch w.fanout.typ {
	case xds.TypeCluster, xds.TypeListener, xds.TypeScope:
		return !w.session.incremental
	case xds.TypeEndpoint, xds.TypeRoute:
	}
	return false
}

// worldResponse is one state-of-the-world response: a whole list where Envoy
// wants one, only what is new where it does not.
type worldResponse struct {
	watch   *watch
	request *discoverypb.DiscoveryRequest
	set     []*entry
	removed []string
	version string
}

// GetDiscoveryResponse is called once, by the stream's goroutine.
func (r *worldResponse) GetDiscoveryResponse() (*discoverypb.DiscoveryResponse, error) {
	s := r.watch.session.server
	s.mu.Lock()
	world := r.watch.world()
	s.mu.Unlock()
	r.version = versionOf(world)
	if r.watch.whole() {
		r.set = world
	}
	r.watch.sending = r.set
	out := &discoverypb.DiscoveryResponse{TypeUrl: string(r.watch.fanout.typ), VersionInfo: r.version}
	for _, e := range r.set {
		out.Resources = append(out.Resources, e.wire.GetResource())
	}
	return out, nil
}

// GetReturnedResources tells go-control-plane what the proxy has then.
func (r *worldResponse) GetReturnedResources() map[string]string {
	return r.watch.learn(r.set, r.removed)
}

// GetRequest is the request that is answered.
func (r *worldResponse) GetRequest() *discoverypb.DiscoveryRequest { return r.request }

// GetVersion is the version of the whole list.
func (r *worldResponse) GetVersion() (string, error) { return r.version, nil }

// GetResponseVersion is the version of the whole list.
func (r *worldResponse) GetResponseVersion() string { return r.version }

// GetContext has nothing to add.
func (r *worldResponse) GetContext() context.Context { return context.Background() }

var _ cache.Response = (*worldResponse)(nil)

package ads

import (
	"context"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/xds"
)

// session is one stream of one proxy. go-control-plane's protocol server runs
// once per stream, with the session as its cache and its callbacks, so that
// nothing has to be looked up by stream.
type session struct {
	server *Server
	end    context.CancelFunc

	// Guarded by the Server's lock.
	proxy   string // node id; empty until the first request
	build   string // Envoy's version
	since   time.Time
	watches map[xds.Type]*watch
	tables  map[string]*holding
}

// holding is what is known of one RouteConfiguration on one proxy.
type holding struct {
	sent, acked     *entry
	sentAt, ackedAt time.Time
	nack            string // of sent
	nackAt          time.Time
}

// DeltaAggregatedResources serves one proxy increments until it goes.
func (s *Server) DeltaAggregatedResources(stream discoverypb.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	c := &session{server: s, end: cancel, watches: map[xds.Type]*watch{}, tables: map[string]*holding{}}
	defer s.leave(c)
	return delta.NewServer(ctx, c, c, named).DeltaStreamHandler(stream, anyType)
}

const anyType = "" // a stream for all types

// named keeps go-control-plane from reading an empty list of names as "all" where
// Envoy never means that.
var named = delta.DeactivateLegacyWildcardForTypes([]string{string(xds.TypeEndpoint), string(xds.TypeRoute)})

// identify takes the node of a stream's first request.
func (c *session) identify(node *corepb.Node) error {
	if node == nil || c.proxy != "" {
		return nil
	}
	if node.GetId() == "" {
		return status.Error(codes.InvalidArgument, "node.id: is empty; a proxy needs one of its own")
	}
	c.proxy, c.build = node.GetId(), buildOf(node)
	c.since = c.server.cfg.Now()
	c.server.join(c)
	return nil
}

// OnDeltaStreamOpen does nothing: the proxy has not said who it is.
func (c *session) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }

// OnDeltaStreamClosed does nothing: the handler's end does.
func (c *session) OnDeltaStreamClosed(int64, *corepb.Node) {}

// OnStreamDeltaRequest takes a proxy's answer to a response, if the request is one.
func (c *session) OnStreamDeltaRequest(_ int64, req *discoverypb.DeltaDiscoveryRequest) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if err := c.identify(req.GetNode()); err != nil {
		return err
	}
	if c.proxy == "" {
		return status.Error(codes.InvalidArgument, "node: the first request names none")
	}
	if w := c.watches[xds.Type(req.GetTypeUrl())]; w != nil && req.GetResponseNonce() != "" {
		c.server.answered(w, req.GetResponseNonce(), req.GetErrorDetail())
	}
	return nil
}

// OnStreamDeltaResponse notes what is being sent.
func (c *session) OnStreamDeltaResponse(_ int64, _ *discoverypb.DeltaDiscoveryRequest, resp *discoverypb.DeltaDiscoveryResponse) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	w := c.watches[xds.Type(resp.GetTypeUrl())]
	c.server.sent(w, resp.GetNonce(), resp.GetResources())
}

// CreateDeltaWatch answers req at once if the proxy lacks something, or waits
// until it does.
func (c *session) CreateDeltaWatch(req *discoverypb.DeltaDiscoveryRequest, sub cache.Subscription, out chan cache.DeltaResponse) (func(), error) {
	s := c.server
	s.mu.Lock()
	w, err := c.watch(xds.Type(req.GetTypeUrl()))
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	w.subscription = sub
	first := !w.started
	w.started = true
	resubscribed := first || len(req.GetResourceNamesSubscribe())+len(req.GetResourceNamesUnsubscribe()) > 0
	if resubscribed {
		s.subscribe(w, first, req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe())
	}
	t := &ticket{watch: w}
	t.deliver = func(set []*entry, removed []string) {
		out <- &deltaResponse{watch: w, request: req, set: set, removed: removed}
	}
	set, removed := w.stale(resubscribed)
	if len(set)+len(removed) == 0 {
		set = w.nextSuspect()
	}
	// A proxy starts only when it has been told of each list, be it empty.
	now := len(set)+len(removed) > 0 || first && sub.IsWildcard()
	if !now {
		w.open = t
	}
	s.mu.Unlock()
	if now {
		t.deliver(set, removed)
	}
	return func() { s.withdraw(t) }, nil
}

// CreateWatch is for state-of-the-world streams, which another session serves.
func (c *session) CreateWatch(*discoverypb.DiscoveryRequest, cache.Subscription, chan cache.Response) (func(), error) {
	return nil, status.Error(codes.Unimplemented, "this stream is incremental")
}

func (c *session) watch(t xds.Type) (*watch, error) {
	w, ok := c.watches[t]
	if ok {
		return w, nil
	}
	f, ok := c.server.fanouts[t]
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "type_url %q: is not served here", t)
	}
	w = &watch{session: c, fanout: f, refused: map[string]string{}}
	c.watches[t] = w
	return w, nil
}

func buildOf(node *corepb.Node) string {
	v := node.GetUserAgentBuildVersion().GetVersion()
	if v == nil {
		return node.GetUserAgentVersion()
	}
	return versionString(v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
}

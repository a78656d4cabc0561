package ads

import (
	"context"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	goconfig "github.com/envoyproxy/go-control-plane/pkg/server/config"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
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
	// incremental tells the two protocols apart.
	incremental bool

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

// take notes that the proxy has e now; nil: nothing.
func (h *holding) take(e *entry, now time.Time) {
	if h.acked != nil {
		h.acked.takers--
	}
	if e != nil {
		e.takers++
	}
	h.acked, h.ackedAt = e, now
}

// DeltaAggregatedResources serves one proxy increments until it goes.
func (s *Server) DeltaAggregatedResources(stream discoverypb.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	ctx, c := s.open(stream.Context())
	c.incremental = true
	defer c.close()
	return delta.NewServer(ctx, c, c, named()).DeltaStreamHandler(stream, anyType)
}

// open begins a session, which the caller must close.
func (s *Server) open(ctx context.Context) (context.Context, *session) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, &session{server: s, end: cancel, watches: map[xds.Type]*watch{}, tables: map[string]*holding{}}
}

func (c *session) close() {
	c.end()
	c.server.leave(c)
}

const anyType = "" // a stream for all types

// named keeps go-control-plane from reading an empty list of names as "all" where
// Envoy never means that.
func named() goconfig.XDSOption {
	return goconfig.DeactivateLegacyWildcardForTypes([]string{string(xds.TypeEndpoint), string(xds.TypeRoute)})
}

// identify takes the node of a stream's first request.
func (c *session) identify(node *corepb.Node) error {
	if c.proxy != "" {
		return nil
	}
	if node.GetId() == "" {
		return status.Error(codes.InvalidArgument, "node.id: is empty; every proxy needs one of its own")
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
	return c.heard(req.GetNode(), xds.Type(req.GetTypeUrl()), req.GetResponseNonce(), req.GetErrorDetail())
}

// OnStreamDeltaResponse notes what is being sent.
func (c *session) OnStreamDeltaResponse(_ int64, _ *discoverypb.DeltaDiscoveryRequest, resp *discoverypb.DeltaDiscoveryResponse) {
	c.told(xds.Type(resp.GetTypeUrl()), resp.GetNonce())
}

// heard takes who a request is from and what it answers.
func (c *session) heard(node *corepb.Node, t xds.Type, nonce string, nack *statuspb.Status) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if err := c.identify(node); err != nil {
		return err
	}
	if w := c.watches[t]; w != nil && nonce != "" {
		c.server.answered(w, nonce, nack)
	}
	return nil
}

// told notes that the response in hand goes out under nonce.
func (c *session) told(t xds.Type, nonce string) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	w := c.watches[t]
	c.server.sent(w, nonce, w.sending)
	w.sending = nil
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
	first := w.subscription == nil
	names, gone := req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe()
	wild := w.renew(sub, names, gone)
	compare := w.staleOfLate
	if first || len(names)+len(gone) > 0 {
		s.subscribe(w, names, gone)
		compare = w.staleOfAll
	}
	if w.anew {
		w.anew = false
		w.distrust()
		compare = w.staleOfAll
	}
	t := &ticket{watch: w}
	t.deliver = func(set []*entry, removed []string) {
		out <- &deltaResponse{watch: w, request: req, set: set, removed: removed}
	}
	lacks := claim{ticket: t}
	lacks.set, lacks.removed = compare()
	// A proxy starts only when it has been told of each list, be it empty.
	if wild {
		return s.answer(lacks), nil
	}
	return s.answerOrWait(lacks), nil
}

// answer sends what a proxy is to hear. It unlocks the Server.
func (s *Server) answer(c claim) (cancel func()) {
	s.mu.Unlock()
	c.send()
	return func() { s.withdraw(c.ticket) }
}

// answerOrWait sends what a proxy lacks, or leaves its ticket for what comes. It
// unlocks the Server.
func (s *Server) answerOrWait(c claim) (cancel func()) {
	w := c.ticket.watch
	if len(c.set)+len(c.removed) == 0 {
		c.set = w.nextSuspect()
	}
	if len(c.set)+len(c.removed) > 0 {
		return s.answer(c)
	}
	w.open = c.ticket
	s.mu.Unlock()
	return func() { s.withdraw(c.ticket) }
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
	w = &watch{session: c, fanout: f, refused: map[string]refusal{}}
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

package ads_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// stage is a Server on an in-memory connection, under virtual time.
type stage struct {
	t      *testing.T
	server *ads.Server
	conn   *grpc.ClientConn
	log    bytes.Buffer

	mu     sync.Mutex
	events []ads.Event
	ports  xds.Formers
}

// story runs play with a Server. Between two lines of a story everything has
// come to rest, so what was not said will not be.
func story(t *testing.T, play func(*stage)) {
	t.Helper()
	storyAfter(t, nil, play)
}

// storyAfter runs play with a Server that is told where proxies listened before.
func storyAfter(t *testing.T, ports xds.Formers, play func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t}
		server, err := ads.New(ads.Config{AckTimeout: 10 * time.Second, Drain: 5 * time.Second, Notify: s.note, Keep: s.keep, Ports: ports, Log: slog.New(slog.NewTextHandler(&s.log, nil))})
		require.NoError(t, err)
		s.server = server
		listener := bufconn.Listen(1 << 20)
		g := grpc.NewServer()
		server.Register(g)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = g.Serve(listener) })
		running.Go(func() { _ = server.Run(ctx) })
		s.conn, err = grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		require.NoError(t, err)

		defer func() {
			cancel()
			synctest.Wait()
			require.Empty(t, server.Proxies(), "the end of Run ends every stream")
			require.NoError(t, s.conn.Close())
			g.Stop()
			running.Wait()
		}()
		play(s)
	})
}

func (s *stage) note(e ads.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *stage) keep(ports xds.Formers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports = ports
}

// kept is where proxies listen, as told to whoever keeps it.
func (s *stage) kept() xds.Formers {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ports
}

// told gives what happened since the last call, one line each, without times.
func (s *stage) told() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.events {
		switch e := e.(type) {
		case ads.Acked:
			text := fmt.Sprintf("acked %s@%d by %d", e.Route, e.Epoch, e.Proxies)
			if e.Refused {
				text += " where it was"
			}
			out = append(out, text)
		case ads.Nacked:
			out = append(out, fmt.Sprintf("nacked %s@%d by %s: %s", e.Route, e.Epoch, e.Proxy, e.Text))
		case ads.TimedOut:
			out = append(out, fmt.Sprintf("timed out %s@%d: %s: %s", e.Route, e.Epoch, short(e.Resource), strings.Join(e.Proxies, " ")))
		case ads.Connected:
			out = append(out, "connected "+e.Proxy)
		case ads.Disconnected:
			out = append(out, "disconnected "+e.Proxy)
		}
	}
	s.events = nil
	return out
}

// logged counts the lines with a text that were logged.
func (s *stage) logged(text string) int {
	synctest.Wait()
	return strings.Count(s.log.String(), text)
}

func short(r xds.Ref) string {
	kind := string(r.Type)
	return kind[strings.LastIndexByte(kind, '.')+1:] + " " + r.Name
}

func (s *stage) publish(cfg *config.Config, splits map[config.Key]config.Split) {
	s.t.Helper()
	require.NoError(s.t, s.server.Publish(cfg, splits))
	synctest.Wait()
}

// proxy is a client that does what Envoy does, one step at a time.
type proxy struct {
	s      *stage
	stream grpc.BidiStreamingClient[discoverypb.DeltaDiscoveryRequest, discoverypb.DeltaDiscoveryResponse]
	cancel context.CancelFunc
	node   *corepb.Node
	gone   chan struct{}
	err    error

	mu    sync.Mutex
	inbox []*discoverypb.DeltaDiscoveryResponse

	// What it has come to by obey.
	holds    map[string]bool   // kind and name
	bodies   map[string]string // by name
	versions map[xds.Type]map[string]string
	asked    map[string]bool // tables
}

func (s *stage) dial(id string) *proxy {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	stream, err := discoverypb.NewAggregatedDiscoveryServiceClient(s.conn).DeltaAggregatedResources(ctx)
	require.NoError(s.t, err)
	p := &proxy{
		s: s, stream: stream, cancel: cancel, node: &corepb.Node{Id: id}, gone: make(chan struct{}),
		holds: map[string]bool{}, bodies: map[string]string{}, asked: map[string]bool{}, versions: map[xds.Type]map[string]string{},
	}
	go func() {
		defer close(p.gone)
		for {
			resp, err := stream.Recv()
			if err != nil {
				p.err = err
				return
			}
			p.mu.Lock()
			p.inbox = append(p.inbox, resp)
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *proxy) hangUp() {
	p.cancel()
	<-p.gone
	synctest.Wait()
}

func (p *proxy) send(req *discoverypb.DeltaDiscoveryRequest) {
	p.s.t.Helper()
	req.Node, p.node = p.node, nil // as set_node_on_first_message_only does
	require.NoError(p.s.t, p.stream.Send(req))
	synctest.Wait()
}

// subscribe asks for names, or for everything.
func (p *proxy) subscribe(t xds.Type, names ...string) {
	p.s.t.Helper()
	p.send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: string(t), ResourceNamesSubscribe: names})
}

// resume asks as a proxy does that was connected before and holds versions.
func (p *proxy) resume(t xds.Type, held map[string]string, names ...string) {
	p.s.t.Helper()
	p.send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: string(t), ResourceNamesSubscribe: names, InitialResourceVersions: held})
}

// receive gives the one response that has come.
func (p *proxy) receive() *discoverypb.DeltaDiscoveryResponse {
	p.s.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Len(p.s.t, p.inbox, 1, "responses: %v", spell(p.inbox))
	resp := p.inbox[0]
	p.inbox = nil
	return resp
}

// heard spells and forgets every response that has come.
func (p *proxy) heard() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := spell(p.inbox)
	p.inbox = nil
	return out
}

func spell(inbox []*discoverypb.DeltaDiscoveryResponse) []string {
	out := []string{}
	for _, r := range inbox {
		words := []string{r.GetTypeUrl()[strings.LastIndexByte(r.GetTypeUrl(), '.')+1:]}
		for _, res := range r.GetResources() {
			words = append(words, res.GetName())
		}
		for _, n := range slices.Sorted(slices.Values(r.GetRemovedResources())) {
			words = append(words, "-"+n)
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func (p *proxy) ack(r *discoverypb.DeltaDiscoveryResponse) {
	p.s.t.Helper()
	p.send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
}

func (p *proxy) nack(r *discoverypb.DeltaDiscoveryResponse, text string) {
	p.s.t.Helper()
	p.send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce(), ErrorDetail: &statuspb.Status{Code: 13, Message: text}})
}

// take receives one response, checks it and acknowledges it.
func (p *proxy) take(want string) *discoverypb.DeltaDiscoveryResponse {
	p.s.t.Helper()
	r := p.receive()
	require.Equal(p.s.t, want, spell([]*discoverypb.DeltaDiscoveryResponse{r})[0])
	p.ack(r)
	return r
}

// start brings a proxy up against a published ml/filetype with v1 and v2.
func (s *stage) start(id string) *proxy {
	s.t.Helper()
	p := s.dial(id)
	p.subscribe(xds.TypeCluster)
	p.take("Cluster ml/filetype/v1 ml/filetype/v2")
	p.subscribe(xds.TypeEndpoint, "ml/filetype/v1", "ml/filetype/v2")
	p.take("ClusterLoadAssignment ml/filetype/v1 ml/filetype/v2")
	p.subscribe(xds.TypeListener)
	p.take("Listener sluice-8080")
	p.subscribe(xds.TypeScope)
	p.take("ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080")
	p.subscribe(xds.TypeRoute, "filetype.ml:8080")
	p.take("RouteConfiguration filetype.ml:8080")
	return p
}

func key(name string) config.Key { return config.Key{Namespace: "ml", Name: name} }

// route has versions v1, v2, … on one endpoint each: v1's is port 8001.
func route(name string, versions ...string) config.InferenceRoute {
	r := config.InferenceRoute{Key: key(name), RouteSpec: config.RouteSpec{
		Hostnames: []string{name + ".ml"}, Listener: config.Listener{Port: 8080},
	}}
	for _, v := range versions {
		r.Versions = append(r.Versions, config.Version{Name: v, Endpoints: []string{"127.0.0.1:800" + v[1:]}})
	}
	return r
}

func configOf(routes ...config.InferenceRoute) *config.Config { return &config.Config{Routes: routes} }

func filetype() *config.Config { return configOf(route("filetype", "v1", "v2")) }

// split gives ml/filetype's v2 so many basis points at an offset of 4,000.
func split(epoch uint64, weight uint32) map[config.Key]config.Split {
	return map[config.Key]config.Split{key("filetype"): {Epoch: epoch, Shares: config.Carve("v1", "v2", weight, 4000)}}
}

// sizeOf is what a response costs on the wire, and its resources alone.
func sizeOf(r *discoverypb.DeltaDiscoveryResponse) (whole, resources int) {
	for _, res := range r.GetResources() {
		resources += len(res.GetResource().GetValue())
	}
	return proto.Size(r), resources
}

// pass lets time pass, which costs none under virtual time.
func (s *stage) pass(d time.Duration) {
	s.t.Helper()
	time.Sleep(d)
}

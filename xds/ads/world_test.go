package ads_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// worldProxy asks for the state of the world.
type worldProxy struct {
	s      *stage
	stream grpc.BidiStreamingClient[discoverypb.DiscoveryRequest, discoverypb.DiscoveryResponse]
	inbox  chan *discoverypb.DiscoveryResponse
	names  map[string][]string
	held   map[string]string
}

func (s *stage) dialWorld(ctx context.Context) *worldProxy {
	s.t.Helper()
	stream, err := discoverypb.NewAggregatedDiscoveryServiceClient(s.conn).StreamAggregatedResources(ctx)
	require.NoError(s.t, err)
	p := &worldProxy{s: s, stream: stream, inbox: make(chan *discoverypb.DiscoveryResponse, 64), names: map[string][]string{}, held: map[string]string{}}
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			p.inbox <- r
		}
	}()
	return p
}

func (p *worldProxy) ask(t xds.Type, version string, names ...string) {
	p.s.t.Helper()
	p.names[string(t)] = names
	require.NoError(p.s.t, p.stream.Send(&discoverypb.DiscoveryRequest{
		Node: &corepb.Node{Id: "world"}, TypeUrl: string(t), ResourceNames: names, VersionInfo: version,
	}))
	synctest.Wait()
}

// answer takes or refuses the one response that has come, and spells it.
func (p *worldProxy) answer(refusal string) string {
	p.s.t.Helper()
	synctest.Wait()
	require.Len(p.s.t, p.inbox, 1)
	r := <-p.inbox
	t := r.GetTypeUrl()
	req := &discoverypb.DiscoveryRequest{TypeUrl: t, ResourceNames: p.names[t], ResponseNonce: r.GetNonce(), VersionInfo: p.held[t]}
	if refusal != "" {
		req.ErrorDetail = &statuspb.Status{Message: refusal}
	} else {
		p.held[t], req.VersionInfo = r.GetVersionInfo(), r.GetVersionInfo()
	}
	require.NoError(p.s.t, p.stream.Send(req))
	synctest.Wait()
	words := []string{t[strings.LastIndexByte(t, '.')+1:]}
	for _, packed := range r.GetResources() {
		m, err := packed.UnmarshalNew()
		require.NoError(p.s.t, err)
		name := "?"
		switch m := m.(type) {
		case interface{ GetName() string }:
			name = m.GetName()
		case interface{ GetClusterName() string }:
			name = m.GetClusterName()
		}
		words = append(words, name)
		if table, ok := m.(*routepb.RouteConfiguration); ok {
			words = append(words, table.GetVirtualHosts()[0].GetRoutes()[0].GetName())
		}
	}
	return strings.Join(words, " ")
}

func TestTheStateOfTheWorldIsServedToo(t *testing.T) {
	story(t, func(s *stage) {
		ctx, hangUp := context.WithCancel(s.t.Context())
		s.publish(filetype(), split(1, 500))
		p := s.dialWorld(ctx)
		p.ask(xds.TypeCluster, "")
		require.Equal(t, "Cluster ml/filetype/v1 ml/filetype/v2", p.answer(""))
		p.ask(xds.TypeEndpoint, "", "ml/filetype/v1", "ml/filetype/v2")
		require.Equal(t, "ClusterLoadAssignment ml/filetype/v1 ml/filetype/v2", p.answer(""))
		p.ask(xds.TypeListener, "")
		require.Equal(t, "Listener sluice-8080", p.answer(""))
		p.ask(xds.TypeScope, "")
		require.Equal(t, "ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080", p.answer(""))
		p.ask(xds.TypeRoute, "", "filetype.ml:8080")
		require.Equal(t, "RouteConfiguration filetype.ml:8080 ml/filetype@1", p.answer(""))
		require.Equal(t, []string{"connected world", "acked ml/filetype@1 by 1"}, s.told())

		s.publish(filetype(), split(2, 1000))
		require.Equal(t, "RouteConfiguration filetype.ml:8080 ml/filetype@2", p.answer("no"))
		require.Equal(t, []string{"nacked ml/filetype@2 by world: no"}, s.told())
		require.Empty(t, p.inbox)

		s.publish(configOf(route("filetype", "v1", "v2", "v3")), split(3, 0))
		require.Len(t, p.inbox, 2)
		got := []string{p.answerNext(), p.answerNext()}
		require.ElementsMatch(t, []string{
			"Cluster ml/filetype/v1 ml/filetype/v2 ml/filetype/v3", // the whole list: what is missing from it goes
			"RouteConfiguration filetype.ml:8080 ml/filetype@3",
		}, got)
		require.Equal(t, []string{"acked ml/filetype@3 by 1"}, s.told())

		hangUp()
		s.told()
		again := s.dialWorld(s.t.Context())
		again.ask(xds.TypeRoute, p.held[string(xds.TypeRoute)], "filetype.ml:8080")
		require.Empty(t, again.inbox, "it holds that version")
		require.Equal(t, []string{"connected world", "acked ml/filetype@3 by 1"}, s.told())
		s.publish(configOf(route("filetype", "v1", "v2", "v3")), map[config.Key]config.Split{key("filetype"): {Epoch: 4, Shares: config.Whole("v2")}})
		require.Equal(t, "RouteConfiguration filetype.ml:8080 ml/filetype@4", again.answer(""))
	})
}

// answerNext takes one of several responses.
func (p *worldProxy) answerNext() string {
	rest := len(p.inbox) - 1
	one := <-p.inbox
	var others []*discoverypb.DiscoveryResponse
	for range rest {
		others = append(others, <-p.inbox)
	}
	p.inbox <- one
	text := p.answer("")
	for _, o := range others {
		p.inbox <- o
	}
	return text
}

package ads_test

import (
	"fmt"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typepb "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

func TestAProxyThatCannotBeServedIsToldWhy(t *testing.T) {
	build := func(major, minor uint32) *corepb.Node_UserAgentBuildVersion {
		return &corepb.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corepb.BuildVersion{
			Version: &typepb.SemanticVersion{MajorNumber: major, MinorNumber: minor},
		}}
	}
	for _, tt := range []struct {
		name string
		node *corepb.Node
		want string
	}{
		{"without an id", &corepb.Node{UserAgentName: "envoy"}, "node.id: is empty"},
		{"a gRPC client", &corepb.Node{Id: "a", UserAgentName: "gRPC Go"}, `"gRPC Go" is no Envoy`},
		{"an old Envoy", &corepb.Node{Id: "a", UserAgentName: "envoy", UserAgentVersionType: build(1, 30)}, "Envoy 1.30.0 is older than 1.36"},
		{"the oldest Envoy", &corepb.Node{Id: "a", UserAgentName: "envoy", UserAgentVersionType: build(1, 36)}, ""},
		{"one that does not say", &corepb.Node{Id: "a"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(s *stage) {
				p := s.dial("")
				p.node = tt.node
				p.subscribe(xds.TypeCluster)
				if tt.want == "" {
					require.Equal(t, []string{"Cluster"}, p.heard())
					return
				}
				<-p.gone
				require.Equal(t, codes.InvalidArgument, status.Code(p.err))
				require.ErrorContains(t, p.err, tt.want)
				require.Empty(t, s.told())
			})
		})
	}
}

// crowd publishes so much that a whole list is large.
func (s *stage) crowd() (clusters int) {
	cfg, splits := configOf(), map[config.Key]config.Split{}
	for i := range 200 {
		r := route(fmt.Sprintf("model-%03d", i), "v1", "v2")
		cfg.Routes = append(cfg.Routes, r)
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
	}
	s.publish(cfg, splits)
	return 2 * len(cfg.Routes)
}

func TestProxiesThatComeAtOnceWaitForTheirTurn(t *testing.T) {
	story(t, func(s *stage) {
		clusters := s.crowd()
		var crowd []*proxy
		for i := range 40 {
			p := s.dial(fmt.Sprintf("p%d", i))
			p.subscribe(xds.TypeCluster)
			crowd = append(crowd, p)
		}
		for i, p := range crowd[32:] {
			require.Empty(t, p.heard(), "%d", i)
		}
		first := crowd[0].receive()
		require.Len(t, first.GetResources(), clusters)
		crowd[0].ack(first)
		require.Len(t, crowd[32].receive().GetResources(), clusters, "the next of the queue")
		require.Empty(t, crowd[33].heard())

		crowd[1].hangUp()
		require.Len(t, crowd[33].receive().GetResources(), clusters, "one that goes gives its turn away")

		s.pass(11 * time.Second)
		for _, p := range crowd[34:] {
			require.Len(t, p.receive().GetResources(), clusters, "those that do not answer lose theirs")
		}
	})
}

func TestWhatIsNoWholeListComesInParts(t *testing.T) {
	story(t, func(s *stage) {
		s.crowd()
		p := s.dial("a")
		var names []string
		for i := range 200 {
			names = append(names, fmt.Sprintf("ml/model-%03d/v1", i), fmt.Sprintf("ml/model-%03d/v2", i))
		}
		p.subscribe(xds.TypeEndpoint, names...)
		got := map[string]bool{}
		parts := 0
		for ; len(got) < len(names); parts++ {
			r := p.receive()
			whole, _ := sizeOf(r)
			require.LessOrEqual(t, whole, 40<<10)
			for _, e := range r.GetResources() {
				require.False(t, got[e.GetName()], "twice: %s", e.GetName())
				got[e.GetName()] = true
			}
			p.ack(r)
		}
		require.Greater(t, parts, 1)
		require.Empty(t, p.heard())
	})
}

package envoy

import (
	"context"
	"testing"

	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// digestingModel says in its trailers what its answers are.
func digestingModel(t *testing.T, digest string) string {
	t.Helper()
	g := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if err := grpc.SetTrailer(ctx, metadata.Pairs(name.HeaderDigest, digest)); err != nil {
			return nil, err
		}
		return handle(ctx, r)
	}))
	healthpb.RegisterHealthServer(g, health.NewServer())
	return serveGRPC(t, g)
}

// Half of the calls are copied to v2, and the same half to v1 again; what all three
// answers are is in the logs, though it comes after them.
func TestCopiesAreRepeatedAndDigestsInTrailersAreLogged(t *testing.T) {
	s := NewStage(t)
	logs := s.StartLogs()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	route := &cfg.Routes[0]
	route.Protocol = config.ProtocolGRPC
	route.Versions[0].Endpoints = []string{digestingModel(t, "cat")}
	route.Versions[1].Endpoints = []string{digestingModel(t, "dog")}
	s.Publish(cfg, map[config.Key]config.Split{filetype: {
		Epoch: 5, Shares: config.Whole("v1"),
		Mirror: config.Share{Version: "v2", Weight: 5000}, Repeat: config.Share{Version: "v1", Weight: 5000},
	}})
	s.Acked(filetype, 5)
	conn := s.dial("filetype.ml")
	const calls = 200
	for range calls {
		_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
	}

	digests := map[string]map[string]string{} // by request, by who answered
	copies := 0
	for live := 0; live < calls || copies%2 != 0 || !paired(digests); {
		e := logs.next(s, "an attempt", isType(datapb.AccessLogType_UpstreamEnd))
		who := e.GetRequest().GetRequestHeaders()[name.HeaderShadow]
		if who == "" {
			live++
		} else {
			copies++
		}
		id := e.GetRequest().GetRequestId()
		if digests[id] == nil {
			digests[id] = map[string]string{}
		}
		digests[id][who] = e.GetResponse().GetResponseTrailers()[name.HeaderDigest]
	}
	require.Greater(t, copies, calls/2)
	require.Less(t, copies, calls*3/2)
	for id, said := range digests {
		require.Equal(t, "cat", said[""], id)
		if len(said) > 1 {
			require.Equal(t, map[string]string{"": "cat", "v2@5": "dog", "v1@5": "cat"}, said, id)
		}
	}
}

// paired says whether no copy is without its other.
func paired(digests map[string]map[string]string) bool {
	for _, said := range digests {
		if len(said) == 2 {
			return false
		}
	}
	return true
}

package envoy

import (
	"testing"

	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/config"
)

// healthModel is a version that knows the health of the service "model".
func healthModel(t *testing.T) string {
	t.Helper()
	g := grpc.NewServer()
	model := health.NewServer()
	model.SetServingStatus("model", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(g, model)
	return serveGRPC(t, g)
}

// serveGRPC has a server listen until the test ends, and gives its address.
func serveGRPC(t *testing.T, g *grpc.Server) string {
	t.Helper()
	listener := listenOn(t, "127.0.0.1:0")
	go func() { _ = g.Serve(listener) }() // Stop ends it
	t.Cleanup(g.Stop)
	return listener.Addr().String()
}

func TestGRPCIsServedAndItsStatusIsLogged(t *testing.T) {
	s := NewStage(t)
	logs := s.StartLogs()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Protocol = config.ProtocolGRPC
	cfg.Routes[0].Versions[1].Endpoints = []string{healthModel(t)}
	s.Publish(cfg, splitOf(filetype, 5, config.Whole("v2")))
	s.Acked(filetype, 5)
	conn := s.dial("filetype.ml")

	var header metadata.MD
	answer, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "model"}, grpc.Header(&header))
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.GetStatus())
	require.Equal(t, []string{"v2@5"}, header.Get("x-sluice"))
	ok := logs.next(s, "the call", isType(datapb.AccessLogType_DownstreamEnd))
	require.Equal(t, "0", ok.GetResponse().GetResponseTrailers()["grpc-status"])
	requireStamps(t, ok)

	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nobody"})
	require.Equal(t, codes.NotFound, status.Code(err))
	failed := logs.next(s, "the failed call", isType(datapb.AccessLogType_DownstreamEnd))
	require.Equal(t, "5", failed.GetResponse().GetResponseHeaders()["grpc-status"], "an error without a body has its status in the headers")
}

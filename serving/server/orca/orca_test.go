package orca_test

import (
	"context"
	"net"
	"testing"
	"time"

	orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservicepb "github.com/cncf/xds/go/xds/service/orca/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/server/orca"
)

var report = serving.LoadReport{RPS: 100.5, EPS: 2, Utilization: 0.75, Backlog: 12500 * time.Microsecond}

func wanted() *orcapb.OrcaLoadReport {
	return &orcapb.OrcaLoadReport{
		ApplicationUtilization: 0.75, RpsFractional: 100.5, Eps: 2, NamedMetrics: map[string]float64{"queue_ms": 12.5},
	}
}

func TestFormsOfAReport(t *testing.T) {
	assert.Equal(t, "TEXT application_utilization=0.7500,rps_fractional=100.5000,eps=2.0000,named_metrics.queue_ms=12.5000", orca.Text(report))
	var binary orcapb.OrcaLoadReport
	require.NoError(t, proto.Unmarshal([]byte(orca.Binary(report)), &binary))
	assert.Empty(t, cmp.Diff(wanted(), &binary, protocmp.Transform()))
}

func TestReportsOutOfBand(t *testing.T) {
	left := 3
	service := orca.NewService(func(context.Context) (serving.LoadReport, bool) { left--; return report, left >= 0 })
	front, listener := grpc.NewServer(), bufconn.Listen(1<<16)
	service.Register(front)
	served := make(chan error)
	go func() { served <- front.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	defer func() { conn.Close(); front.Stop(); assert.NoError(t, await.Next(t, served, "the end of the server")) }()

	stream, err := orcaservicepb.NewOpenRcaServiceClient(conn).StreamCoreMetrics(t.Context(),
		&orcaservicepb.OrcaLoadReportRequest{ReportInterval: durationpb.New(time.Nanosecond)})
	require.NoError(t, err)
	for range 3 {
		r, err := stream.Recv()
		require.NoError(t, err)
		assert.Empty(t, cmp.Diff(wanted(), r, protocmp.Transform()))
	}
	_, err = stream.Recv()
	assert.Error(t, err, "the server stopped, and with it its reports")
}

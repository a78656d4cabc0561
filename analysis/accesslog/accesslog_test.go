package accesslog_test

import (
	"context"
	"net"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointpb "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	loadspb "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/e2e/ingest/corpus"
)

// recorder is a Sink that hands on copies of what it is given.
type recorder struct {
	requests chan []analysis.Request
	loads    chan []analysis.Load
	streams  chan string
}

func newRecorder() recorder {
	return recorder{make(chan []analysis.Request, 100), make(chan []analysis.Load, 100), make(chan string, 100)}
}

func (r recorder) Observe(_ string, requests []analysis.Request) {
	r.requests <- append([]analysis.Request(nil), requests...)
}

func (r recorder) Report(_ string, loads []analysis.Load) {
	r.loads <- append([]analysis.Load(nil), loads...)
}

func (r recorder) Stream(proxy string, open bool) {
	r.streams <- proxy + map[bool]string{true: " open", false: " closed"}[open]
}

// serve starts a server on memory and dials it.
func serve(t *testing.T, c accesslog.Config) (*accesslog.Server, *grpc.ClientConn) {
	t.Helper()
	s, err := accesslog.New(c)
	require.NoError(t, err)
	server := grpc.NewServer(accesslog.Options()...)
	s.Register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:memory",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, await.Next(t, served, "the end of the server"))
	})
	return s, conn
}

func identifier(node string) *logspb.StreamAccessLogsMessage_Identifier {
	return &logspb.StreamAccessLogsMessage_Identifier{Node: &corepb.Node{Id: node}, LogName: "sluice"}
}

func message(id *logspb.StreamAccessLogsMessage_Identifier, entries ...*entrypb.HTTPAccessLogEntry) *logspb.StreamAccessLogsMessage {
	return &logspb.StreamAccessLogsMessage{
		Identifier: id,
		LogEntries: &logspb.StreamAccessLogsMessage_HttpLogs{
			HttpLogs: &logspb.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: entries},
		},
	}
}

// start is when the requests of this file began.
func start() time.Time { return time.Unix(1_700_000_000, 250_000_000).UTC() }

// attempt is the entry of a first attempt that v2 answered with 200.
func attempt() *entrypb.HTTPAccessLogEntry {
	return &entrypb.HTTPAccessLogEntry{
		CommonProperties: &entrypb.AccessLogCommon{
			AccessLogType:            entrypb.AccessLogType_UpstreamEnd,
			StartTime:                timestamppb.New(start()),
			Duration:                 durationpb.New(37 * time.Millisecond),
			TimeToLastUpstreamRxByte: durationpb.New(36 * time.Millisecond),
			UpstreamCluster:          "ml/filetype/v2",
			UpstreamRemoteAddress:    corpus.Address("10.0.0.7", 8000),
			RouteName:                "ml/filetype@17",
			CustomTags:               map[string]string{"arm": "ml/filetype/v2"},
		},
		Request: &entrypb.HTTPRequestProperties{
			RequestHeaders: map[string]string{"x-sluice-arm": "v2@17", "x-envoy-attempt-count": "1"},
		},
		Response: &entrypb.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(200)},
	}
}

// answered is what attempt tells of.
func answered() analysis.Request {
	return analysis.Request{
		Route: config.Key{Namespace: "ml", Name: "filetype"}, Version: "v2", Epoch: 17,
		Pod: "10.0.0.7:8000", Proxy: "gateway-1", Start: start(), Duration: 37 * time.Millisecond,
		Outcome: analysis.Succeeded, Attempt: 1, Issued: true, Status: "200",
	}
}

func TestALogStreamBecomesRequests(t *testing.T) {
	sink := newRecorder()
	server, conn := serve(t, accesslog.Config{Sink: sink})
	stream, err := logspb.NewAccessLogServiceClient(conn).StreamAccessLogs(t.Context())
	require.NoError(t, err)

	require.NoError(t, stream.Send(message(identifier("gateway-1"), attempt(), attempt())))
	assert.Equal(t, "gateway-1 open", await.Next(t, sink.streams, "a stream"))
	assert.Equal(t, []analysis.Request{answered(), answered()}, await.Next(t, sink.requests, "requests"))

	require.NoError(t, stream.Send(message(nil, attempt())), "only the first message names the node")
	assert.Equal(t, []analysis.Request{answered()}, await.Next(t, sink.requests, "requests"))
	assert.Equal(t, int64(1), server.Counts().Streams)

	require.NoError(t, stream.CloseSend())
	assert.Equal(t, "gateway-1 closed", await.Next(t, sink.streams, "a stream"))
}

func TestAMalformedEntryIsCountedAndTheNextIsRead(t *testing.T) {
	sink := newRecorder()
	server, conn := serve(t, accesslog.Config{Sink: sink})
	stream, err := logspb.NewAccessLogServiceClient(conn).StreamAccessLogs(t.Context())
	require.NoError(t, err)

	foreign, timeless, under := attempt(), attempt(), attempt()
	foreign.CommonProperties.UpstreamCluster = "somebody's"
	timeless.CommonProperties.StartTime = nil
	under.CommonProperties.AccessLogType = entrypb.AccessLogType_DownstreamPeriodic
	require.NoError(t, stream.Send(message(identifier("gateway-1"), foreign, nil, timeless, under, attempt())))
	assert.Equal(t, []analysis.Request{answered()}, await.Next(t, sink.requests, "requests"))

	c := server.Counts()
	assert.Equal(t, accesslog.Counts{
		Streams: 1, Messages: 1, Entries: 5, Requests: 1, LeftOut: 2,
		Malformed: map[string]uint64{"cluster": 1, "time": 1},
	}, c)
}

func TestAStreamWithoutANodeIsToldWhy(t *testing.T) {
	_, conn := serve(t, accesslog.Config{Sink: newRecorder()})
	logs, err := logspb.NewAccessLogServiceClient(conn).StreamAccessLogs(t.Context())
	require.NoError(t, err)
	require.NoError(t, logs.Send(message(identifier(""), attempt())))
	_, err = logs.CloseAndRecv()
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.ErrorContains(t, err, "identifier.node.id: is empty")

	loads, err := loadspb.NewLoadReportingServiceClient(conn).StreamLoadStats(t.Context())
	require.NoError(t, err)
	require.NoError(t, loads.Send(&loadspb.LoadStatsRequest{}))
	_, err = loads.Recv()
	assert.ErrorContains(t, err, "node.id: is empty")
}

func TestALoadReportBecomesALoadPerVersion(t *testing.T) {
	sink := newRecorder()
	_, conn := serve(t, accesslog.Config{Sink: sink})
	stream, err := loadspb.NewLoadReportingServiceClient(conn).StreamLoadStats(t.Context())
	require.NoError(t, err)

	require.NoError(t, stream.Send(&loadspb.LoadStatsRequest{Node: &corepb.Node{Id: "gateway-1"}}))
	asked, err := stream.Recv()
	require.NoError(t, err)
	assert.True(t, asked.GetSendAllClusters())
	assert.Equal(t, time.Second, asked.GetLoadReportingInterval().AsDuration())

	locality := &endpointpb.UpstreamLocalityStats{
		TotalIssuedRequests: 10, TotalSuccessfulRequests: 6, TotalErrorRequests: 2, TotalRequestsInProgress: 1,
	}
	require.NoError(t, stream.Send(&loadspb.LoadStatsRequest{ClusterStats: []*endpointpb.ClusterStats{
		{ClusterName: "sluice_als"},
		{
			ClusterName: "ml/filetype/v2", LoadReportInterval: durationpb.New(time.Second), TotalDroppedRequests: 3,
			UpstreamLocalityStats: []*endpointpb.UpstreamLocalityStats{locality},
		},
		{ClusterName: "ml/filetype/v2~copies", UpstreamLocalityStats: []*endpointpb.UpstreamLocalityStats{locality}},
	}}))
	loads := await.Next(t, sink.loads, "a load report")
	require.Len(t, loads, 1)
	assert.False(t, loads[0].At.IsZero())
	loads[0].At = time.Time{}
	assert.Equal(t, analysis.Load{
		Route: config.Key{Namespace: "ml", Name: "filetype"}, Version: "v2", Proxy: "gateway-1", Interval: time.Second,
		Issued: 20, Succeeded: 12, Errored: 4, InProgress: 2, Dropped: 3,
	}, loads[0])
}

func TestAProxyThatComesBackReportsWithItsFirstMessage(t *testing.T) {
	sink := newRecorder()
	_, conn := serve(t, accesslog.Config{Sink: sink})
	stream, err := loadspb.NewLoadReportingServiceClient(conn).StreamLoadStats(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&loadspb.LoadStatsRequest{
		Node: &corepb.Node{Id: "gateway-1"},
		ClusterStats: []*endpointpb.ClusterStats{{
			ClusterName: "ml/filetype/v2", LoadReportInterval: durationpb.New(4 * time.Second),
			UpstreamLocalityStats: []*endpointpb.UpstreamLocalityStats{{TotalIssuedRequests: 4012}},
		}},
	}))
	assert.Equal(t, uint64(4012), await.Next(t, sink.loads, "a load report")[0].Issued)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	_, err := accesslog.New(accesslog.Config{})
	assert.EqualError(t, err, "accesslog: sink: is missing")
	_, err = accesslog.New(accesslog.Config{Sink: newRecorder(), LoadInterval: -1})
	assert.EqualError(t, err, "accesslog: loadInterval: is negative")
}

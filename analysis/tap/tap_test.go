package tap_test

import (
	"context"
	"io"
	"net"
	"testing"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	procpb "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/analysis/tap"
	"github.com/sluice-dev/sluice/config"
)

type sink chan analysis.Copy

func (s sink) Copied(c analysis.Copy) { s <- c }

// serve starts a server as the control plane does, beside the log service.
func serve(t *testing.T, c tap.Config) procpb.ExternalProcessorClient {
	t.Helper()
	s, err := tap.New(c)
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
		require.NoError(t, <-served)
	})
	return procpb.NewExternalProcessorClient(conn)
}

func headers(pairs ...string) *procpb.HttpHeaders {
	h := &corepb.HeaderMap{}
	for i := 0; i < len(pairs); i += 2 {
		h.Headers = append(h.Headers, &corepb.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return &procpb.HttpHeaders{Headers: h}
}

// asked are the attributes of a copied request.
func asked(shadow, copied string) map[string]*structpb.Struct {
	fields := map[string]*structpb.Value{}
	for name, value := range map[string]string{
		"request.id": "r1", "request.headers['x-sluice-shadow']": shadow, "request.headers['x-sluice-copy']": copied,
	} {
		fields[name] = structpb.NewStringValue(value)
	}
	return map[string]*structpb.Struct{"envoy.filters.http.ext_proc": {Fields: fields}}
}

func response(to map[string]*structpb.Struct, status string) *procpb.ProcessingRequest {
	return &procpb.ProcessingRequest{
		Request:    &procpb.ProcessingRequest_ResponseHeaders{ResponseHeaders: headers(":status", status)},
		Attributes: to,
	}
}

// emptyResponse has no body.
func emptyResponse(to map[string]*structpb.Struct, status string) *procpb.ProcessingRequest {
	m := response(to, status)
	m.GetResponseHeaders().EndOfStream = true
	return m
}

func body(text string) *procpb.ProcessingRequest {
	return &procpb.ProcessingRequest{Request: &procpb.ProcessingRequest_ResponseBody{ResponseBody: &procpb.HttpBody{Body: []byte(text)}}}
}

func lastBody(text string) *procpb.ProcessingRequest {
	m := body(text)
	m.GetResponseBody().EndOfStream = true
	return m
}

func trailers() *procpb.ProcessingRequest {
	return &procpb.ProcessingRequest{Request: &procpb.ProcessingRequest_ResponseTrailers{ResponseTrailers: &procpb.HttpTrailers{}}}
}

// send tells of one answer.
func send(t *testing.T, client procpb.ExternalProcessorClient, cluster string, parts ...*procpb.ProcessingRequest) error {
	t.Helper()
	stream, err := client.Process(metadata.AppendToOutgoingContext(t.Context(), "x-sluice-cluster", cluster))
	require.NoError(t, err)
	for _, part := range parts {
		if stream.Send(part) != nil {
			break // Recv says why
		}
	}
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	return err
}

func TestAnswersToCopiesAreReadWhole(t *testing.T) {
	got := make(sink, 1)
	client := serve(t, tap.Config{Sink: got, Longest: 10})
	whole := analysis.Copy{Route: config.Key{Namespace: "ml", Name: "filetype"}, Version: "v2", Epoch: 7, ID: "r1", Status: 200, Body: []byte("0123456789")}
	first := asked("v2@7", "1")
	with := func(change func(*analysis.Copy)) analysis.Copy {
		c := whole
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name  string
		parts []*procpb.ProcessingRequest
		want  analysis.Copy
	}{
		{"in parts", []*procpb.ProcessingRequest{response(first, "200"), body("01234"), body("56789"), lastBody("")}, whole},
		{"with trailers", []*procpb.ProcessingRequest{response(first, "200"), body("0123456789"), trailers()}, whole},
		{"up to a length", []*procpb.ProcessingRequest{response(first, "200"), body("01234567"), body("89a")}, with(func(c *analysis.Copy) { c.Body, c.Long = nil, true })},
		{"without a body", []*procpb.ProcessingRequest{emptyResponse(first, "503")}, with(func(c *analysis.Copy) { c.Status, c.Body = 503, nil })},
		{
			"stable's second",
			[]*procpb.ProcessingRequest{response(asked("v2@7", "2"), "200"), lastBody("0123456789")},
			with(func(c *analysis.Copy) { c.Second = true }),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.ErrorIs(t, send(t, client, "ml/filetype/v2~copies", tt.parts...), io.EOF)
			require.Len(t, got, 1)
			assert.Equal(t, tt.want, <-got)
		})
	}
}

func TestAnswersThatDoNotEndAreNone(t *testing.T) {
	got := make(sink, 1)
	client := serve(t, tap.Config{Sink: got})
	first := asked("v2@7", "1")
	for _, parts := range [][]*procpb.ProcessingRequest{{}, {response(first, "200")}, {response(first, "200"), body("0123")}} {
		require.ErrorIs(t, send(t, client, "ml/filetype/v2~copies", parts...), io.EOF)
	}
	require.Empty(t, got)
}

func TestWhatIsNoCopyIsRefused(t *testing.T) {
	got := make(sink, 1)
	client := serve(t, tap.Config{Sink: got})
	err := send(t, client, "somebody's", emptyResponse(asked("v2@7", "1"), "200"))
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	_ = send(t, client, "ml/filetype/v2~copies", emptyResponse(asked("", ""), "200")) // without a stamp
	assert.Empty(t, got)
}

// slow is a sink that says when it was called, and returns when it may.
type slow struct{ called, may chan struct{} }

func (s slow) Copied(analysis.Copy) { s.called <- struct{}{}; <-s.may }

func TestNoMoreAreReadAtOnceThanStated(t *testing.T) {
	got := slow{make(chan struct{}), make(chan struct{})}
	client := serve(t, tap.Config{Sink: got, Most: 1})
	whose := asked("v2@7", "1")
	first, err := client.Process(metadata.AppendToOutgoingContext(t.Context(), "x-sluice-cluster", "ml/filetype/v2~copies"))
	require.NoError(t, err)
	require.NoError(t, first.Send(emptyResponse(whose, "503")))
	require.NoError(t, first.CloseSend())
	<-got.called
	assert.Equal(t, codes.ResourceExhausted, status.Code(send(t, client, "ml/filetype/v2~copies", emptyResponse(whose, "503"))))
	close(got.may)
	_, err = first.Recv()
	require.ErrorIs(t, err, io.EOF)
}

func TestNoMoreBytesAreHeldAtOnceThanStated(t *testing.T) {
	got := make(sink, 3)
	client := serve(t, tap.Config{Sink: got, Held: 10})
	whose := asked("v2@7", "1")
	for range 3 { // what is over is let go of
		assert.ErrorIs(t, send(t, client, "ml/filetype/v2~copies", response(whose, "200"), lastBody("0123456789")), io.EOF)
		err := send(t, client, "ml/filetype/v2~copies", response(whose, "200"), body("012345"), lastBody("6789a"))
		assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	}
	assert.Len(t, got, 3)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	_, err := tap.New(tap.Config{})
	require.EqualError(t, err, "tap: sink: is missing")
	_, err = tap.New(tap.Config{Sink: make(sink), Most: -1})
	require.ErrorContains(t, err, "are not above 0")
}

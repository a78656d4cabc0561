package main_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sluice-dev/sluice/e2e/await"
)

// collector takes what is sent to it by gRPC, unread.
func collector(t *testing.T) (address string, sent <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	messages := make(chan string, 10)
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		m := &emptypb.Empty{} // keeps the fields that it does not know
		if err := stream.RecvMsg(m); err != nil {
			return err
		}
		method, _ := grpc.MethodFromServerStream(stream)
		messages <- method + string(m.ProtoReflect().GetUnknown())
		return stream.SendMsg(&emptypb.Empty{})
	}))
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), messages
}

func TestSampledRequestsAreTraced(t *testing.T) {
	address, sent := collector(t)
	p, config := start(t, "v3-2", "--otlp-endpoint", address), configOf(t, "v3-2")
	for _, parent := range []string{
		"00-11111111111111111111111111111111-2222222222222222-01",
		"00-33333333333333333333333333333333-2222222222222222-00", // not sampled
	} {
		r, err := http.NewRequest(http.MethodPost, p.url+"/v2/models/magika/infer", bytes.NewReader(body(t, config, []byte("{}"))))
		require.NoError(t, err)
		r.Header.Set("Traceparent", parent)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	p.await("drained")
	require.NoError(t, await.Next(t, p.exited, "the exit"), "the last spans are sent before the end")
	text := await.Next(t, sent, "the spans")
	assert.Contains(t, text, "/opentelemetry.proto.collector.trace.v1.TraceService/Export")
	assert.Contains(t, text, strings.Repeat("\x11", 16))
	assert.NotContains(t, text, strings.Repeat("\x33", 16))
	for _, name := range []string{"sluice-serve", "infer", "queue", "batch", "run"} {
		assert.Contains(t, text, name)
	}
}

func TestACollectorThatIsGoneChangesNoExit(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	p, config := start(t, "v3-2", "--otlp-endpoint", gone.Addr().String()), configOf(t, "v3-2")
	r, err := http.NewRequest(http.MethodPost, p.url+"/v2/models/magika/infer", bytes.NewReader(body(t, config, []byte("{}"))))
	require.NoError(t, err)
	r.Header.Set("Traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	p.await("drained")
	p.await("last spans were not sent")
	assert.NoError(t, await.Next(t, p.exited, "the exit"))
}

func nested(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func number(b []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

// echo writes an ONNX model that gives its input back, as two outputs.
func echo(t *testing.T) string {
	t.Helper()
	value := func(name string) []byte { // INT64 [n, l]
		n, l := nested(nil, 2, []byte("n")), nested(nil, 2, []byte("l"))
		shape := nested(nested(nil, 1, n), 1, l)
		return nested(nested(nil, 1, []byte(name)), 2, nested(nil, 1, nested(number(nil, 1, 7), 2, shape)))
	}
	var graph []byte
	for _, out := range []string{"y", "z"} {
		graph = nested(graph, 1, nested(nested(nested(nil, 1, []byte("x")), 2, []byte(out)), 4, []byte("Identity")))
	}
	graph = nested(nested(nested(nested(graph, 2, []byte("echo")), 11, value("x")), 12, value("y")), 12, value("z"))
	m := nested(nested(number(nil, 1, 8), 7, graph), 8, number(nil, 2, 13))
	path := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, os.WriteFile(path, m, 0o600))
	return path
}

func TestRequestsOfManyShapesArePaddedAndCutBack(t *testing.T) {
	p := startPath(t, echo(t), "--pad", "x:1=4,8:fill=9", "--crop", "y:1=x:1")
	r, err := http.NewRequest(http.MethodGet, p.url+"/v2", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("X-Long", strings.Repeat("x", 100_000))
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answer.StatusCode, "headers have a limit")
	infer := func(shape, data string) (int, string) {
		r, err := http.Post(p.url+"/v2/models/magika/infer", "application/json",
			strings.NewReader(`{"inputs":[{"name":"x","datatype":"INT64","shape":`+shape+`,"data":`+data+`}]}`))
		require.NoError(t, err)
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.StatusCode, string(text)
	}
	_, text := infer("[1,3]", "[1,2,3]")
	assert.Contains(t, text, `{"name":"y","datatype":"INT64","shape":[1,3],"data":[1,2,3]}`, "cut back")
	assert.Contains(t, text, `{"name":"z","datatype":"INT64","shape":[1,4],"data":[1,2,3,9]}`, "as the model saw it")
	code, text := infer("[1,9]", "[1,2,3,4,5,6,7,8,9]")
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Contains(t, text, `input \"x\": dimension 1: at most 8, found 9`)
	_, text = p.get("/metrics")
	assert.Contains(t, text, `sluice_serving_padding_ratio_sum{model="magika",version="1"} 0.25`)
}

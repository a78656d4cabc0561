package remote_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/backend/remote"
	"github.com/sluice-dev/sluice/serving/server"
)

// served is a real server, with the headers of the last inference it got.
type served struct {
	http, grpc string
	headers    chan http.Header
}

func serve(t *testing.T) *served {
	t.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return l
	}
	model, err := fake.New(2, fake.Config{})
	require.NoError(t, err)
	v := &served{headers: make(chan http.Header, 100)}
	ready := make(chan struct{})
	c := server.Config{Model: "m", Version: "7", Backend: model, Listener: listen(), GRPC: listen(), Warm: func() { close(ready) }}
	c.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/infer") {
				v.headers <- r.Header
			}
			next.ServeHTTP(w, r)
		})
	}
	s, err := server.New(c)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, await.Next(t, ended, "the end of the server")) })
	await.Next(t, ready, "the warm-up")
	v.http, v.grpc = "http://"+c.Listener.Addr().String(), "grpc://"+c.GRPC.Addr().String()
	isReady := func() bool {
		r, err := http.Get(v.http + "/v2/health/ready")
		return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
	}
	require.Eventually(t, isReady, await.Patience, time.Millisecond, "ready follows Warm at once")
	return v
}

func row(a, b uint32) []serving.Tensor {
	data := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, a), b)
	return []serving.Tensor{{Name: "in", Datatype: serving.Int32, Shape: serving.Shape{1, 2}, Data: data}}
}

func TestAnotherServersModel(t *testing.T) {
	v := serve(t)
	for _, url := range []string{v.http, v.grpc} {
		for _, version := range []string{"", "7"} {
			m, err := remote.Open(t.Context(), remote.Config{URL: url, Model: "m", Version: version})
			require.NoError(t, err)
			assert.Equal(t, serving.Signature{
				Inputs:  []serving.Spec{{Name: "in", Datatype: serving.Int32, Shape: serving.Shape{-1, 2}}},
				Outputs: []serving.Spec{{Name: "out", Datatype: serving.Int32, Shape: serving.Shape{-1, 2}}},
			}, m.Signature())
			out, err := m.Run(t.Context(), 0, row(5, 7))
			require.NoError(t, err)
			assert.Equal(t, row(5, 7)[0].Data, out[0].Data)
			assert.NoError(t, m.Close())
		}
	}
}

func TestATraceGoesOn(t *testing.T) {
	v := serve(t)
	m, err := remote.Open(t.Context(), remote.Config{URL: v.http, Model: "m"})
	require.NoError(t, err)
	defer m.Close()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	_, err = m.Run(trace.ContextWithSpanContext(t.Context(), span), 0, row(1, 2))
	require.NoError(t, err)
	assert.Contains(t, await.Next(t, v.headers, "the request").Get("Traceparent"), span.TraceID().String())
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	v := serve(t)
	tests := []struct {
		name string
		c    remote.Config
		want string
	}{
		{"no URL", remote.Config{URL: "triton:8001", Model: "m"}, `remote: a URL as grpc://host:8001 or http://host:8000, found "triton:8001"`},
		{"another scheme", remote.Config{URL: "ftp://triton", Model: "m"}, `remote: scheme is one of grpc, grpcs, http, https, found "ftp"`},
		{"no name", remote.Config{URL: v.http}, `remote model: name: missing`},
		{"an unknown model, by REST", remote.Config{URL: v.http, Model: "x"}, `404 Not Found: {"error":"model \"x\": not found, this server has \"m\""}`},
		{"an unknown model, by gRPC", remote.Config{URL: v.grpc, Model: "x"}, `NotFound: model "x": not found, this server has "m"`},
	}
	for _, test := range tests {
		_, err := remote.Open(t.Context(), test.c)
		assert.ErrorContains(t, err, test.want, test.name)
	}
}

// plain is a server without the binary extension, as some are.
func plain(t *testing.T, answer string) *remote.Model {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2":
			_, _ = w.Write([]byte(`{"name":"plain","extensions":[]}`))
		case strings.HasSuffix(r.URL.Path, "/infer"):
			var body struct {
				Inputs []struct{ Data []int32 }
			}
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
			assert.Equal(t, []int32{5, 7}, body.Inputs[0].Data)
			_, _ = w.Write([]byte(answer))
		default:
			_, _ = w.Write([]byte(`{"inputs":[{"name":"in","datatype":"INT32","shape":[-1,2]}],"outputs":[{"name":"out","datatype":"FP32","shape":[-1]}]}`))
		}
	}))
	t.Cleanup(s.Close)
	m, err := remote.Open(t.Context(), remote.Config{URL: s.URL, Model: "m"})
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

func TestAServerThatSpeaksJSONOnly(t *testing.T) {
	out, err := plain(t, `{"outputs":[{"name":"out","datatype":"FP32","shape":[1],"data":[0.5]}]}`).Run(t.Context(), 0, row(5, 7))
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 0x3f}, out[0].Data)
}

func TestAnswersThatAreWrong(t *testing.T) {
	for answer, want := range map[string]string{
		`no`:             "answer: ",
		`{"outputs":[]}`: `output "out": missing in the answer`,
		`{"outputs":[{"name":"out","datatype":"INT8","shape":[1],"data":[1]}]}`:                          `output "out": datatype is FP32, found INT8`,
		`{"outputs":[{"name":"out","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}`: `output "out": binary_data_size: 4, but 0 bytes are left`,
	} {
		_, err := plain(t, answer).Run(t.Context(), 0, row(5, 7))
		assert.ErrorContains(t, err, want)
	}
}

func TestAServerThatIsGoneFailsFast(t *testing.T) {
	model, err := fake.New(2, fake.Config{})
	require.NoError(t, err)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return l
	}
	c := server.Config{Model: "m", Version: "7", Backend: model, Listener: listen(), GRPC: listen()}
	s, err := server.New(c)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	var models []*remote.Model
	for _, url := range []string{"http://" + c.Listener.Addr().String(), "grpc://" + c.GRPC.Addr().String()} {
		var m *remote.Model
		require.Eventually(t, func() bool {
			m, err = remote.Open(t.Context(), remote.Config{URL: url, Model: "m"})
			return err == nil
		}, await.Patience, time.Millisecond)
		defer m.Close()
		require.NoError(t, m.Probe(t.Context()))
		models = append(models, m)
	}
	stop()
	require.NoError(t, await.Next(t, ended, "the end of the server"))
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	for _, m := range models {
		_, err := m.Run(ctx, 0, row(1, 2))
		assert.ErrorIs(t, err, serving.ErrUnavailable)
		assert.NoError(t, ctx.Err(), "long before its deadline")
	}
}

package envoy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/config"
)

// post sends a body to llm.ml and gives who answered, or the status if nobody did.
func (s *Stage) post(contentType, body string) string {
	s.t.Helper()
	req := s.Request("llm.ml", "/v1/chat/completions")
	req.Method, req.Body, req.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return string(text)
}

func TestABodyNamesItsModel(t *testing.T) {
	s := NewStage(t)
	model := func(name string) config.Match { return config.Match{Model: name} }
	cfg := &config.Config{Routes: []config.InferenceRoute{
		simple(t, s.Port, "llama", []string{"llm.ml"}, model("meta/llama-3.1"), model("llama")),
		simple(t, s.Port, "qwen", []string{"llm.ml"}, model("qwen")),
		simple(t, s.Port, "rest", []string{"llm.ml"}, prefix("/v1")),
		simple(t, s.Port, "other", []string{"other.ml"}),
	}}
	for i := range cfg.Routes {
		cfg.Routes[i].Protocol = config.ProtocolOpenAI
	}
	s.publishAll(cfg)
	const json = "application/json"
	long := fmt.Sprintf(`{"messages": ["%s"], "model": "qwen"}`, strings.Repeat("x", 8<<20))
	for _, tt := range []struct{ contentType, body, want string }{
		{json, `{"model": "llama", "messages": []}`, "llama"},
		{json, `{"messages": [{"model": "qwen"}], "model": "meta/llama-3.1"}`, "llama"},
		{"application/json; charset=utf-8", `{"model": "qwen"}`, "qwen"},
		{"Application/JSON", `{"model": "qwen"}`, "qwen"},
		{json, long, "qwen"},
		{json, `{"model": "Llama"}`, "rest"},
		{json, `{"model": 7}`, "rest"},
		{json, `{"messages": []}`, "rest"},
		{json, `no JSON`, "rest"},
		{json, ``, "rest"},
		{"text/plain", `{"model": "qwen"}`, "rest"},
		{json, strings.Repeat(" ", 17<<20), "413 Payload Too Large"},
	} {
		require.Equal(t, tt.want, s.post(tt.contentType, tt.body), "%s %.40q", tt.contentType, tt.body)
	}
	require.Equal(t, "other", s.ask(s.Port, "other.ml", "/"))
}

// dial speaks gRPC to the Envoy of a stage.
func (s *Stage) dial(host string) *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient((&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(s.Port)}).String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(host))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestCallsAreMatchedByServiceAndMethod(t *testing.T) {
	s := NewStage(t)
	call := func(service, method string) config.Match {
		return config.Match{GRPC: &config.GRPCMatch{Service: service, Method: method}}
	}
	cfg := &config.Config{Routes: []config.InferenceRoute{
		simple(t, s.Port, "check", []string{"model.ml"}, call("grpc.health.v1.Health", "Check")),
		simple(t, s.Port, "health", []string{"model.ml"}, call("grpc.health.v1.Health", "")),
		simple(t, s.Port, "list", []string{"model.ml"}, call("", "ListThem")),
	}}
	for i := range cfg.Routes {
		cfg.Routes[i].Protocol = config.ProtocolGRPC
		cfg.Routes[i].Versions[0].Name = cfg.Routes[i].Name
		cfg.Routes[i].Versions[0].Endpoints = []string{healthModel(t)}
	}
	splits := map[config.Key]config.Split{}
	for _, r := range cfg.Routes {
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole(r.Versions[0].Name)}
	}
	s.Publish(cfg, splits)
	for _, r := range cfg.Routes {
		s.Acked(r.Key, 1)
	}
	conn := s.dial("model.ml")
	for _, tt := range []struct {
		method string
		served string
		code   codes.Code
	}{
		{"/grpc.health.v1.Health/Check", "check@1", codes.OK},
		{"/grpc.health.v1.Health/Unknown", "health@1", codes.Unimplemented},
		{"/grpc.health.v1.HealthX/Check", "", codes.Unimplemented}, // by Envoy: no route
		{"/any.Thing/ListThem", "list@1", codes.Unimplemented},
		{"/any.Thing/ListThemAll", "", codes.Unimplemented},
	} {
		var header, trailer metadata.MD // of an error there is one of them
		err := conn.Invoke(context.Background(), tt.method, &healthpb.HealthCheckRequest{Service: "model"}, &healthpb.HealthCheckResponse{}, grpc.Header(&header), grpc.Trailer(&trailer))
		require.Equal(t, tt.code, status.Code(err), "%s: %v", tt.method, err)
		require.Equal(t, tt.served, strings.Join(append(header.Get("x-sluice"), trailer.Get("x-sluice")...), ","), tt.method)
	}
}

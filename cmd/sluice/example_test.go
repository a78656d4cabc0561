package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestAnExampleReachesTheInferenceRoute(t *testing.T) {
	here := config.Listener{Address: "127.0.0.1", Port: 8080}
	at := func(kind config.PathMatchType, value string) *config.PathMatch {
		return &config.PathMatch{Type: kind, Value: value}
	}
	tests := []struct {
		name  string
		route config.RouteSpec
		want  string
	}{
		{"every hostname", config.RouteSpec{Listener: here}, "curl http://127.0.0.1:8080/"},
		{"its hostname", config.RouteSpec{Listener: here, Hostnames: []string{"a.ml", "b.ml"}}, "curl -H 'Host: a.ml' http://127.0.0.1:8080/"},
		{
			"what tells it from its neighbours on a hostname",
			config.RouteSpec{Listener: here, Hostnames: []string{"a.ml"}, Matches: []config.Match{{
				Path: at(config.PathPrefix, "/v2/models/x"), Method: "POST",
				Headers: []config.HeaderMatch{{Name: "x-team", Type: config.HeaderExact, Value: "it's"}},
			}, {Method: "GET"}}},
			`curl -X POST -H 'Host: a.ml' -H 'x-team: it'\''s' http://127.0.0.1:8080/v2/models/x`,
		},
		{
			"an expression is the reader's",
			config.RouteSpec{Listener: here, Matches: []config.Match{{Path: at(config.PathExpression, "/v[12]/.*")}}},
			"curl 'http://127.0.0.1:8080/…/v[12]/.*…'",
		},
		{"every address of the machine", config.RouteSpec{Listener: config.Listener{Address: "0.0.0.0", Port: 80}}, "curl http://127.0.0.1:80/"},
		{"version 6", config.RouteSpec{Listener: config.Listener{Address: "::", Port: 80}}, "curl 'http://[::1]:80/'"},
		{
			"gRPC",
			config.RouteSpec{Listener: here, Protocol: config.ProtocolGRPC, Hostnames: []string{"g.ml"}},
			"grpcurl -plaintext -authority g.ml 127.0.0.1:8080 list",
		},
		{
			"a service of gRPC",
			config.RouteSpec{Listener: here, Protocol: config.ProtocolGRPC, Matches: []config.Match{{Path: at(config.PathPrefix, "/inference.GRPCInferenceService/")}}},
			"grpcurl -plaintext 127.0.0.1:8080 list inference.GRPCInferenceService",
		},
		{
			"a method of gRPC",
			config.RouteSpec{Listener: here, Protocol: config.ProtocolGRPC, Matches: []config.Match{{Path: at(config.PathExact, "/inference.GRPCInferenceService/ServerLive")}}},
			"grpcurl -plaintext 127.0.0.1:8080 inference.GRPCInferenceService/ServerLive",
		},
		{
			"a match of gRPC",
			config.RouteSpec{Listener: here, Protocol: config.ProtocolGRPC, Matches: []config.Match{{GRPC: &config.GRPCMatch{Service: "inference.GRPCInferenceService"}}}},
			"grpcurl -plaintext 127.0.0.1:8080 list inference.GRPCInferenceService",
		},
		{
			"a model of OpenAI's protocol",
			config.RouteSpec{Listener: here, Protocol: config.ProtocolOpenAI, Matches: []config.Match{{Model: "llama"}}},
			`curl -H 'Content-Type: application/json' -d '{"model": "llama", "messages": [{"role": "user", "content": "hello"}]}' http://127.0.0.1:8080/v1/chat/completions`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, example(test.route))
		})
	}
}

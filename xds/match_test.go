package xds

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestRulesAreOrderedByGatewayAPIsPrecedence(t *testing.T) {
	path := func(t config.PathMatchType, v string) *config.PathMatch { return &config.PathMatch{Type: t, Value: v} }
	header := config.HeaderMatch{Name: "x-tenant", Value: "a"}
	in := func(name string, hosts []string, m ...config.Match) intent {
		return intent{InferenceRoute: config.InferenceRoute{
			Key:       config.Key{Namespace: "ml", Name: name},
			RouteSpec: config.RouteSpec{Hostnames: hosts, Matches: m},
		}}
	}
	host := []string{"m.ml"}
	routes := []intent{
		in("z-rest", nil, config.Match{Path: path(config.PathExact, "/v2/exact")}),
		in("y-wild", []string{"*.ml"}, config.Match{}),
		in("b-all", host, config.Match{}),
		in("a-all", host, config.Match{}),
		in("headers-2", host, config.Match{Headers: []config.HeaderMatch{header, header}}),
		in("headers-1", host, config.Match{Headers: []config.HeaderMatch{header}}),
		in("method", host, config.Match{Method: "GET"}),
		in("prefix-short", host, config.Match{Path: path(config.PathPrefix, "/v2")}),
		in("prefix-long", host, config.Match{Path: path(config.PathPrefix, "/v2/models")}),
		in("expression", host, config.Match{Path: path(config.PathExpression, "/v2/.*")}),
		in("exact", host, config.Match{Path: path(config.PathExact, "/v2")}),
		in("elsewhere", []string{"n.ml"}, config.Match{}),
	}
	var got []string
	for _, r := range rulesFor("m.ml", routes) {
		got = append(got, r.route.Name)
	}
	require.Equal(t, strings.Fields("exact expression prefix-long prefix-short method headers-2 headers-1 a-all b-all y-wild z-rest"), got)
}

func TestPrefixesEndAtASlash(t *testing.T) {
	for value, want := range map[string]string{"/": "prefix", "/v2": "separated /v2", "/v2/": "separated /v2"} {
		m, err := matchOf(config.Match{Path: &config.PathMatch{Type: config.PathPrefix, Value: value}})
		require.NoError(t, err)
		got := "prefix"
		if s := m.GetPathSeparatedPrefix(); s != "" {
			got = "separated " + s
		}
		require.Equal(t, want, got, value)
	}
}

package xds_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// golden compares got with a file; UPDATE_GOLDEN=1 writes it (`make golden`).
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n")
}

func key(name string) config.Key { return config.Key{Namespace: "ml", Name: name} }

// route is an inference route on port 8080 with stable v3-2 and candidate v3-3.
func route(name string, tune ...func(*config.RouteSpec)) config.InferenceRoute {
	r := config.InferenceRoute{Key: key(name), RouteSpec: config.RouteSpec{
		Hostnames: []string{name + ".ml"},
		Listener:  config.Listener{Port: 8080},
		Versions: []config.Version{
			{Name: "v3-2", Endpoints: []string{"127.0.0.1:8001", "127.0.0.1:8002"}, Health: &config.Health{Path: "/v2/health/ready"}},
			{Name: "v3-3", Endpoints: []string{"localhost:8003", "[::1]:8004"}},
		},
	}}
	for _, f := range tune {
		f(&r.RouteSpec)
	}
	return r
}

func hosts(names ...string) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) { r.Hostnames = names }
}

func port(n uint32) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) { r.Listener.Port = n }
}

func matches(m ...config.Match) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) { r.Matches = m }
}

func prefix(p string) config.Match {
	return config.Match{Path: &config.PathMatch{Type: config.PathPrefix, Value: p}}
}

func grpcProtocol(r *config.RouteSpec) { r.Protocol = config.ProtocolGRPC }

func openAI(r *config.RouteSpec) { r.Protocol = config.ProtocolOpenAI }

// reading compares answers by their bodies, with stable asked twice.
func reading(r config.InferenceRoute) config.InferenceRoute {
	r.Answers = &config.Metric{Compare: &config.Compare{By: config.CompareJSON}, VersusStable: &config.VersusStable{}}
	return r
}

func mirroring(r *config.RouteSpec) { r.Mirroring = config.MirroringAllowed }

func sticky(s config.Stickiness) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) { r.Stickiness = &s }
}

func overrides(o ...config.Override) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) { r.Overrides = o }
}

// canary makes v3-3 the target of a canary.
func canary(r *config.RouteSpec) {
	r.Target, r.InitialStable = "v3-3", "v3-2"
	r.Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: 50_000}}}
}

// segmented gives the configuration's routes a policy that tells tenants apart.
func segmented(cfg *config.Config) *config.Config {
	policy := config.AnalysisPolicy{Key: key("tenants"), PolicySpec: config.PolicySpec{Segments: &config.Segments{Header: "x-tenant"}}}
	cfg.Policies = append(cfg.Policies, policy)
	for i := range cfg.Routes {
		cfg.Routes[i].Analysis.Policy = policy.Name
	}
	return cfg
}

// protected makes v3-3 the target of a canary whose failures v3-2 takes over.
func protected(budget config.Percent) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) {
		r.Target, r.InitialStable = "v3-3", "v3-2"
		r.Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: 50_000}}}
		r.Protect.RetryOnStable = &config.RetryOnStable{On: []config.Failure{config.FailureConnect, config.Failure5xx}, Budget: budget}
	}
}

func configOf(routes ...config.InferenceRoute) *config.Config { return &config.Config{Routes: routes} }

// stableOnly gives each route of c everything to v3-2 under epoch 1.
func stableOnly(c *config.Config) map[config.Key]config.Split {
	splits := map[config.Key]config.Split{}
	for _, r := range c.Routes {
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole("v3-2")}
	}
	return splits
}

func TestGoldenTranslations(t *testing.T) {
	ramp := config.Split{Epoch: 17, Shares: config.Carve("v3-2", "v3-3", 500, 4000)}
	mirrored := config.Split{Epoch: 18, Shares: config.Whole("v3-2"), Mirror: config.Share{Version: "v3-3", Weight: 2000}}
	repeated := mirrored
	repeated.Repeat = config.Share{Version: "v3-2", Weight: 2000}
	for name, tt := range map[string]struct {
		cfg    *config.Config
		splits map[config.Key]config.Split
	}{
		"canary":               {configOf(route("filetype")), map[config.Key]config.Split{key("filetype"): ramp}},
		"mirror":               {configOf(route("filetype", mirroring)), map[config.Key]config.Split{key("filetype"): mirrored}},
		"copies_that_are_read": {configOf(reading(route("filetype", mirroring))), map[config.Key]config.Split{key("filetype"): repeated}},
		"mirror_twice":         {configOf(route("filetype", mirroring)), map[config.Key]config.Split{key("filetype"): repeated}},
		"grpc": {
			configOf(route("filetype", grpcProtocol, func(r *config.RouteSpec) { r.Timeouts.Request = config.Duration(10 * time.Minute) })),
			map[config.Key]config.Split{key("filetype"): ramp},
		},
		"sticky_by_header": {
			configOf(route("filetype", sticky(config.Stickiness{Header: "x-user-id"}))),
			map[config.Key]config.Split{key("filetype"): ramp},
		},
		"sticky_by_address": {
			configOf(route("filetype", sticky(config.Stickiness{ClientAddress: &config.ClientAddress{}}))),
			map[config.Key]config.Split{key("filetype"): ramp},
		},
		"sticky_by_cookie": {
			configOf(route("filetype", matches(prefix("/v2")), sticky(config.Stickiness{Cookie: &config.UnitCookie{
				Name: "unit%", TTL: config.Duration(24 * time.Hour),
			}}))),
			map[config.Key]config.Split{key("filetype"): ramp},
		},
		"retry_on_stable": {
			configOf(route("filetype", protected(200_000), sticky(config.Stickiness{Cookie: &config.UnitCookie{Name: "unit"}}))),
			map[config.Key]config.Split{key("filetype"): {Epoch: 19, Shares: config.Carve("v3-2", "v3-3", 2500, 9000)}},
		},
		"retry_on_stable_grpc": {
			configOf(route("filetype", protected(config.PerMillion), grpcProtocol)),
			map[config.Key]config.Split{key("filetype"): {Epoch: 19, Shares: config.Carve("v3-2", "v3-3", 2500, 4000)}},
		},
		"retry_on_stable_alone": {configOf(route("filetype", protected(200_000))), nil},
		"grpc_methods": {configOf(
			route("info", grpcProtocol, hosts("model.ml"), matches(config.Match{GRPC: &config.GRPCMatch{Service: "inference.GRPCInferenceService", Method: "ModelInfer"}})),
			route("rest", grpcProtocol, hosts("model.ml"), matches(
				config.Match{GRPC: &config.GRPCMatch{Service: "inference.GRPCInferenceService"}}, config.Match{GRPC: &config.GRPCMatch{Method: "Check"}},
			)),
		), nil},
		"models": {configOf(
			route("llama", openAI, hosts("llm.ml"), matches(config.Match{Model: "meta/llama"})),
			route("rest", openAI, hosts("llm.ml")),
		), nil},
		"overrides": {
			configOf(route("filetype", mirroring, overrides(
				config.Override{Header: &config.HeaderMatch{Name: "x-tester", Value: "alice"}, Version: "v3-3"},
				config.Override{Cookie: &config.CookieMatch{Name: "tester", Value: "1"}, Version: "v3-2"},
			), sticky(config.Stickiness{Header: "x-user-id"}))),
			map[config.Key]config.Split{key("filetype"): mirrored},
		},
		"gateway": {
			configOf(
				route("a", hosts("one.ml", "two.ml")),
				route("b", hosts("two.ml"), matches(prefix("/v2"))),
				route("c", hosts("three.ml")),
				route("d", hosts("one.ml"), port(9090)),
			), nil,
		},
		"segments":     {segmented(configOf(route("filetype", canary))), nil},
		"any_hostname": {configOf(route("filetype", hosts()), route("special", hosts("special.ml"), matches(prefix("/v2")))), nil},
		"wildcard":     {configOf(route("filetype", hosts("*.ml"))), nil},
		"empty":        {configOf(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.splits == nil {
				tt.splits = stableOnly(tt.cfg)
			}
			resources, err := xds.Translate(tt.cfg, tt.splits)
			require.NoError(t, err)
			docs, err := resources.Documents()
			require.NoError(t, err)
			text, err := json.MarshalIndent(struct {
				Placed    map[string]xds.Place
				Documents []xds.Document
			}{placedByName(resources), docs}, "", "  ")
			require.NoError(t, err)
			golden(t, name+".golden.json", text)
		})
	}
}

func placedByName(r xds.Resources) map[string]xds.Place {
	out := map[string]xds.Place{}
	for k, p := range r.Placed {
		out[k.String()] = p
	}
	return out
}

func TestEqualInputGivesEqualBytesInAnyOrderOfRoutes(t *testing.T) {
	cfg := configOf(route("a", hosts("one.ml", "two.ml")), route("b", hosts("two.ml"), matches(prefix("/v2"))), route("c", mirroring))
	want, err := xds.Translate(cfg, stableOnly(cfg))
	require.NoError(t, err)
	reversed := configOf(cfg.Routes[2], cfg.Routes[1], cfg.Routes[0])
	got, err := xds.Translate(reversed, stableOnly(reversed))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestAWeightChangesOneSmallTableAndNothingElse(t *testing.T) {
	cfg := configOf(route("filetype"), route("other"))
	before := stableOnly(cfg)
	before[key("filetype")] = config.Split{Epoch: 1, Shares: config.Carve("v3-2", "v3-3", 500, 4000)}
	after := stableOnly(cfg)
	after[key("filetype")] = config.Split{Epoch: 2, Shares: config.Carve("v3-2", "v3-3", 1000, 4000)}

	a, err := xds.Translate(cfg, before)
	require.NoError(t, err)
	b, err := xds.Translate(cfg, after)
	require.NoError(t, err)

	require.Equal(t, a.Clusters, b.Clusters)
	require.Equal(t, a.Endpoints, b.Endpoints)
	require.Equal(t, a.Scopes, b.Scopes)
	require.Equal(t, a.Listeners, b.Listeners)
	require.Equal(t, a.Routes[1], b.Routes[1], "the neighbour's table")
	require.NotEqual(t, a.Routes[0], b.Routes[0])
	require.LessOrEqual(t, len(b.Routes[0].Body), 310)
}

func TestAClusterEditMakesItsEndpointsNew(t *testing.T) {
	a, err := xds.Translate(configOf(route("filetype")), stableOnly(configOf(route("filetype"))))
	require.NoError(t, err)
	edited := configOf(route("filetype", func(r *config.RouteSpec) {
		r.Versions[0].Health = &config.Health{Path: "/other"}
	}))
	b, err := xds.Translate(edited, stableOnly(edited))
	require.NoError(t, err)
	require.NotEqual(t, a.Clusters[0].Version, b.Clusters[0].Version)
	require.Equal(t, a.Endpoints[0].Body, b.Endpoints[0].Body)
	require.NotEqual(t, a.Endpoints[0].Version, b.Endpoints[0].Version, "so that Envoy, which waits for them, hears of them")
	require.Equal(t, a.Endpoints[1], b.Endpoints[1])
}

func TestAMirrorThatMayNotBeIsLeftOutAndTheWeightsAreServed(t *testing.T) {
	share := func(v string, w uint32) config.Share { return config.Share{Version: v, Weight: w} }
	for name, tt := range map[string]struct {
		route          config.InferenceRoute
		mirror, repeat config.Share
		want           string
	}{
		"a mirror nobody allowed":     {route("good"), share("v3-3", 1), config.Share{}, "mirroring is not Allowed"},
		"a mirror of more than all":   {route("good", mirroring), share("v3-3", 10001), config.Share{}, "weight 10001 is above 10000"},
		"a repetition of others":      {route("good", mirroring), share("v3-3", 2), share("v3-2", 1), "repeat: weight 1 is not the mirror's, 2"},
		"a mirror to nobody":          {route("good", mirroring), share("v9", 1), config.Share{}, `mirror: version "v9"`},
		"a repetition nobody allowed": {route("good"), config.Share{}, share("v3-2", 1), "mirroring is not Allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configOf(tt.route)
			want, err := xds.Translate(cfg, stableOnly(cfg))
			require.NoError(t, err)
			require.Empty(t, want.Unmirrored)
			splits := stableOnly(cfg)
			split := splits[tt.route.Key]
			split.Mirror, split.Repeat = tt.mirror, tt.repeat
			splits[tt.route.Key] = split
			got, err := xds.Translate(cfg, splits)
			require.NoError(t, err)
			require.Len(t, got.Unmirrored, 1)
			require.Equal(t, tt.route.Key, got.Unmirrored[0].Route)
			require.ErrorContains(t, got.Unmirrored[0], tt.want)
			require.ErrorContains(t, got.Unmirrored[0], "served without its mirror")
			got.Unmirrored = want.Unmirrored
			require.Equal(t, want, got, "as without a mirror")
		})
	}
}

func TestABadRouteFailsAloneAndIsNamed(t *testing.T) {
	good := route("good")
	split := func(shares ...config.Share) config.Split { return config.Split{Epoch: 2, Shares: shares} }
	share := func(v string, w uint32) config.Share { return config.Share{Version: v, Weight: w} }
	for name, tt := range map[string]struct {
		bad   config.InferenceRoute
		split *config.Split
		want  string
	}{
		"no split":                     {route("bad"), nil, "has no split"},
		"a sum of zero":                {route("bad"), new(split()), "shares: sum to 0, not to 10000"},
		"a wrong sum":                  {route("bad"), new(split(share("v3-2", 9999))), "shares: sum to 9999, not to 10000"},
		"a sum that overflows":         {route("bad"), new(split(share("v3-2", 1<<31), share("v3-2", 1<<31), share("v3-2", 10000))), "sum to 4294977296"},
		"an unknown version":           {route("bad"), new(split(share("v9", 10000))), `shares: version "v9" is not one`},
		"an endpoint that is a name":   {route("bad", endpoint("model.internal:80")), new(split(config.Whole("v3-2")...)), `version "v3-2": endpoints[0]: "model.internal:80": is not an IP address`},
		"an endpoint without a port":   {route("bad", endpoint("10.0.0.1")), new(split(config.Whole("v3-2")...)), `"10.0.0.1": is not an IP address (or localhost) and a port`},
		"port 0":                       {route("bad", endpoint("10.0.0.1:0")), new(split(config.Whole("v3-2")...)), "port 0"},
		"an unknown protocol":          {route("bad", func(r *config.RouteSpec) { r.Protocol = "smtp" }), new(split(config.Whole("v3-2")...)), `protocol "smtp"`},
		"an expression that is none":   {route("bad", matches(config.Match{Path: &config.PathMatch{Type: config.PathExpression, Value: "/("}})), new(split(config.Whole("v3-2")...)), "missing closing )"},
		"what protobuf rules refuse":   {route("bad", matches(config.Match{Path: &config.PathMatch{Type: config.PathPrefix, Value: "/a?b"}})), new(split(config.Whole("v3-2")...)), "envoy refuses it"},
		"another address for the port": {route("later", func(r *config.RouteSpec) { r.Listener.Address = "0.0.0.0" }), new(split(config.Whole("v3-2")...)), `port 8080 is opened on 127.0.0.1 by "ml/good", not on 0.0.0.0`},
		"a match that is hidden":       {route("later", hosts("good.ml")), new(split(config.Whole("v3-2")...)), `is already matched by "ml/good" on the same hostname`},
		"an override to nobody": {
			route("bad", overrides(config.Override{Header: &config.HeaderMatch{Name: "a", Value: "b"}, Version: "v9"})),
			new(split(config.Whole("v3-2")...)), `overrides[0]: version "v9" is not one`,
		},
		"an override of everything": {route("bad", overrides(config.Override{Version: "v3-3"})), new(split(config.Whole("v3-2")...)), "overrides[0]: has neither header nor cookie"},
	} {
		t.Run(name, func(t *testing.T) {
			alone, err := xds.Translate(configOf(good), stableOnly(configOf(good)))
			require.NoError(t, err)
			splits := stableOnly(configOf(good))
			if tt.split != nil {
				splits[tt.bad.Key] = *tt.split
			}
			resources, err := xds.Translate(configOf(good, tt.bad), splits)
			require.ErrorContains(t, err, tt.want)
			var refused *xds.RouteError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, tt.bad.Key, refused.Route)
			require.Equal(t, []*xds.RouteError{refused}, resources.Refused)
			resources.Refused = nil
			require.Equal(t, alone, resources, "the good one is as if alone")
		})
	}
}

func endpoint(s string) func(*config.RouteSpec) {
	return func(r *config.RouteSpec) { r.Versions[0].Endpoints = []string{s} }
}

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	cfg := configOf(route("a"), route("b"))
	_, err := xds.Translate(cfg, map[config.Key]config.Split{
		key("a"): {Shares: []config.Share{{Version: "v9", Weight: 1}}},
	})
	require.ErrorContains(t, err, `inference route "ml/a": split of epoch 0: shares: version "v9"`)
	require.ErrorContains(t, err, "shares: sum to 1, not to 10000")
	require.ErrorContains(t, err, `inference route "ml/b": has no split`)
}

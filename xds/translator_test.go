package xds_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// edits change one inference route of a config, without writing to what it holds.
var edits = []func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute{
	func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute {
		r.Hostnames = rapid.SampledFrom([][]string{{"a.ml"}, {"a.ml", "b.ml"}, {"b.ml", "c.ml"}, {"d.ml"}, {}, {"*.ml"}}).Draw(t, "hostnames")
		return r
	},
	func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute {
		r.Listener = config.Listener{
			Port:    rapid.Uint32Range(8080, 8081).Draw(t, "port"),
			Address: rapid.SampledFrom([]string{"", "0.0.0.0"}).Draw(t, "address"),
		}
		return r
	},
	func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute {
		r.Matches = rapid.SampledFrom([][]config.Match{nil, {prefix("/v2")}, {prefix("/" + r.Name)}, {prefix("/a?b")}}).Draw(t, "matches")
		return r
	},
	func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute {
		r.Versions = slices.Clone(r.Versions)
		r.Versions[0].Endpoints = []string{rapid.SampledFrom([]string{"10.0.0.1:80", "10.0.0.2:80", "no address"}).Draw(t, "endpoint")}
		return r
	},
	func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute {
		r.Stickiness = rapid.SampledFrom([]*config.Stickiness{nil, {Header: "x-user"}, {Cookie: &config.UnitCookie{Name: "unit"}}}).Draw(t, "stickiness")
		return r
	},
	func(t *rapid.T, r config.InferenceRoute) config.InferenceRoute {
		r.Protocol = rapid.SampledFrom([]config.Protocol{config.ProtocolHTTP, config.ProtocolGRPC, "smtp"}).Draw(t, "protocol")
		return r
	},
}

func TestATranslatorsMemoryChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configOf(route("a"), route("b"), route("c"), route("d"))
		splits := stableOnly(cfg)
		var translator xds.Translator
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			cfg = &config.Config{Routes: slices.Clone(cfg.Routes)}
			splits = maps.Clone(splits)
			which := rapid.IntRange(0, len(cfg.Routes)-1).Draw(t, "route")
			if rapid.Bool().Draw(t, "split") {
				weight := rapid.Uint32Range(0, config.WholeSplit).Draw(t, "weight")
				splits[cfg.Routes[which].Key] = config.Split{Epoch: uint64(i), Shares: config.Carve("v3-2", "v3-3", weight, 4000)}
			} else {
				cfg.Routes[which] = rapid.SampledFrom(edits).Draw(t, "edit")(t, cfg.Routes[which])
			}
			want, wantErr := xds.Translate(cfg, splits)
			got, err := translator.Translate(cfg, splits)
			require.Equal(t, fmt.Sprint(wantErr), fmt.Sprint(err))
			require.Equal(t, want, got)
		}
	})
}

func TestATranslatorBuildsOnlyWhatChanged(t *testing.T) {
	cfg := configOf(route("a"), route("b"), route("c", hosts("b.ml"), matches(prefix("/v2"))), route("d", port(9090)))
	splits := stableOnly(cfg)
	var translator xds.Translator
	before, err := translator.Translate(cfg, splits)
	require.NoError(t, err)
	changed := maps.Clone(splits)
	changed[key("a")] = config.Split{Epoch: 2, Shares: config.Carve("v3-2", "v3-3", 500, 0)}
	after, err := translator.Translate(cfg, changed)
	require.NoError(t, err)

	kept := map[*byte]bool{}
	for _, list := range [][]xds.Resource{before.Clusters, before.Endpoints, before.Routes, before.Scopes, before.Listeners} {
		for _, r := range list {
			kept[&r.Body[0]] = true
		}
	}
	var built []string
	for _, list := range [][]xds.Resource{after.Clusters, after.Endpoints, after.Routes, after.Scopes, after.Listeners} {
		for _, r := range list {
			if !kept[&r.Body[0]] {
				built = append(built, r.Name)
			}
		}
	}
	require.Equal(t, []string{after.Placed[key("a")].Table}, built)
}

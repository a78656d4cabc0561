package ads_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// ramping is ml/filetype with v1, v2 and v3, while v2 is the candidate.
func ramping(edit func(*config.InferenceRoute)) *config.Config {
	r := route("filetype", "v1", "v2", "v3")
	r.Target, r.InitialStable, r.Strategy.Canary = "v2", "v1", &config.Canary{}
	edit(&r)
	return configOf(r)
}

// unserved is an edit that cannot be translated.
func unserved(r *config.InferenceRoute) { r.Versions[0].Endpoints = []string{"nowhere"} }

func TestAnAbortReachesProxiesWhateverElseWasEdited(t *testing.T) {
	toV3 := func(r *config.InferenceRoute) { unserved(r); r.Target = "v3" }
	whole := config.Whole
	carve := func(candidate string, weight uint32) []config.Share { return config.Carve("v1", candidate, weight, 0) }
	for name, tt := range map[string]struct {
		edit   func(*config.InferenceRoute)
		before []config.Share
		after  config.Split
		served uint64 // epoch
	}{
		"an abort":                            {unserved, carve("v2", 5000), config.Split{Shares: whole("v1")}, 2},
		"a step back":                         {unserved, carve("v2", 5000), config.Split{Shares: carve("v2", 100)}, 2},
		"an abort of all":                     {unserved, whole("v2"), config.Split{Shares: whole("v1")}, 2},
		"an abort for the next target's sake": {toV3, carve("v2", 5000), config.Split{Shares: whole("v1")}, 2},
		"an abort by a version that is gone": {
			func(r *config.InferenceRoute) { unserved(r); r.Target, r.Versions = "v1", r.Versions[:1] },
			carve("v2", 5000),
			config.Split{Shares: whole("v1")},
			2,
		},
		"a step on":                    {unserved, carve("v2", 5000), config.Split{Shares: carve("v2", 5001)}, 1},
		"a promotion":                  {unserved, carve("v2", 5000), config.Split{Shares: whole("v2")}, 1},
		"another candidate":            {toV3, whole("v1"), config.Split{Shares: carve("v3", 100)}, 1},
		"a version that was not there": {unserved, whole("v1"), config.Split{Shares: carve("v4", 100)}, 1},
		"what is none":                 {unserved, carve("v2", 5000), config.Split{Shares: []config.Share{{Version: "v1", Weight: 1}}}, 1},
		"an abort that begins to shadow": {
			unserved, carve("v2", 5000), config.Split{Shares: whole("v1"), Mirror: config.Share{Version: "v2", Weight: 1}}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.served, servedAfter(t, ramping(func(*config.InferenceRoute) {}), ramping(tt.edit), tt.before, tt.after))
		})
	}
}

func TestTheEndOfAnABTestReachesProxiesWhateverElseWasEdited(t *testing.T) {
	testing := func(edit func(*config.InferenceRoute)) *config.Config {
		r := route("filetype", "v1", "v2")
		r.Strategy.ABTest = &config.ABTest{Reference: "v1"}
		edit(&r)
		return configOf(r)
	}
	was, now := testing(func(*config.InferenceRoute) {}), testing(unserved)
	before := config.Carve("v1", "v2", 5000, 0)
	require.EqualValues(t, 2, servedAfter(t, was, now, before, config.Split{Shares: config.Whole("v1")}))
	require.EqualValues(t, 1, servedAfter(t, was, now, before, config.Split{Shares: config.Carve("v1", "v2", 4000, 0)}), "other shares are an edit")
}

// servedAfter gives the epoch that a proxy serves when what was published of ml/filetype
// as the first is replaced by something that is refused, as the second.
func servedAfter(t *testing.T, was, now *config.Config, before []config.Share, after config.Split) (epoch uint64) {
	t.Helper()
	story(t, func(s *stage) {
		s.publish(was, map[config.Key]config.Split{key("filetype"): {Epoch: 1, Shares: before}})
		p := s.obeying("a", nil)
		after.Epoch = 2
		err := s.server.Publish(now, map[config.Key]config.Split{key("filetype"): after})
		var refused *xds.RouteError
		require.ErrorAs(t, err, &refused)
		p.obey(nil)
		epoch = s.server.Proxies()[0].Routes[0].Acked.Epoch
	})
	return epoch
}

func TestWhatDoesNotGoTogetherWithARefusedRouteIsRefusedToo(t *testing.T) {
	story(t, func(s *stage) {
		splits := split(1, 500)
		splits[key("other")] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		s.publish(configOf(filetype().Routes[0], route("other", "v1")), splits)
		p := s.obeying("a", nil)
		s.told()
		moved, heir := filetype().Routes[0], route("other", "v1")
		moved.Hostnames, heir.Hostnames = []string{"new.ml"}, []string{"filetype.ml"}
		unserved(&moved)
		err := s.server.Publish(configOf(moved, heir), splits)
		require.ErrorContains(t, err, `inference route "ml/filetype"`)
		require.ErrorContains(t, err, `inference route "ml/other": matches: path /`)
		p.obey(nil)
		require.Contains(t, p.holds, "ScopedRouteConfiguration 8080/other.ml", "it keeps what it had")
		require.Contains(t, p.holds, "ScopedRouteConfiguration 8080/filetype.ml")
		require.Len(t, s.server.Proxies()[0].Routes, 2)
	})
}

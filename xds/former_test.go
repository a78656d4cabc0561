package xds_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

func TestFormerPorts(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "a"}
	on := func(ports ...uint32) map[config.Key]config.InferenceRoute {
		routes := map[config.Key]config.InferenceRoute{}
		for _, p := range ports {
			routes[k] = config.InferenceRoute{Key: k, RouteSpec: config.RouteSpec{Listener: config.Listener{Port: p}}}
		}
		return routes
	}
	type step struct {
		to     uint32   // 0: withdrawn
		opened []uint32 // by some proxy
		want   []uint32
	}
	for name, steps := range map[string][]step{
		"a port that nobody opened is forgotten":                  {{to: 1}, {to: 2}},
		"one that is opened stays while the next is not":          {{to: 1}, {to: 2, opened: []uint32{1}, want: []uint32{1}}, {to: 2, opened: []uint32{1}, want: []uint32{1}}},
		"a refused one in between is forgotten":                   {{to: 1}, {to: 2, opened: []uint32{1}, want: []uint32{1}}, {to: 3, opened: []uint32{1}, want: []uint32{1}}},
		"two that are opened stay both":                           {{to: 1}, {to: 2, opened: []uint32{1}, want: []uint32{1}}, {to: 3, opened: []uint32{1, 2}, want: []uint32{1, 2}}},
		"one that is wanted again is no former one":               {{to: 1}, {to: 2, opened: []uint32{1}, want: []uint32{1}}, {to: 1, opened: []uint32{1}}},
		"one that was wanted again and left again is listed once": {{to: 1}, {to: 2, opened: []uint32{1, 2}, want: []uint32{1}}, {to: 1, opened: []uint32{1, 2}, want: []uint32{2}}, {to: 2, opened: []uint32{1, 2}, want: []uint32{1}}},
		"what is withdrawn has none":                              {{to: 1}, {to: 2, opened: []uint32{1}, want: []uint32{1}}, {opened: []uint32{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			var formers xds.Formers
			before := on()
			for i, s := range steps {
				now := on()
				if s.to != 0 {
					now = on(s.to)
				}
				opened := map[uint32]bool{}
				for _, p := range s.opened {
					opened[p] = true
				}
				formers = formers.Next(before, now, func(p uint32) bool { return opened[p] })
				var got []uint32
				for _, f := range formers[k] {
					got = append(got, f.Listener.Port)
				}
				require.Equal(t, s.want, got, "step %d", i)
				before = now
			}
		})
	}
}

func TestAFormerPortThatClosedIsKeptUntilItHasDrained(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "a"}
	open := xds.Formers{k: {{Listener: config.Listener{Port: 1}}}}
	closed := open.Close(k)
	require.True(t, closed[k][0].Closed)
	require.False(t, open[k][0].Closed, "values do not change")
	require.Empty(t, closed.Drop(k))
	require.Len(t, open.Drop(k)[k], 1, "what is open is not dropped")
}

func TestWhereProxiesListenIsRememberedForTheNextStart(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "a"}
	now := map[config.Key]config.InferenceRoute{k: {Key: k, RouteSpec: config.RouteSpec{Listener: config.Listener{Port: 2}, Hostnames: []string{"a.ml"}}}}
	formers := xds.Formers{k: {{Listener: config.Listener{Port: 1}}, {Listener: config.Listener{Port: 3}, Closed: true}}}
	require.Equal(t, xds.Formers{k: {{Listener: config.Listener{Port: 1}}}}, formers.Where(now, func(uint32) bool { return false }))
	require.Equal(t, xds.Formers{k: {{Listener: config.Listener{Port: 1}}, {Listener: config.Listener{Port: 2}, Hostnames: []string{"a.ml"}}}},
		formers.Where(now, func(uint32) bool { return true }))
	require.Empty(t, formers.Where(nil, func(uint32) bool { return true }), "what is withdrawn is not")
}

// moving translates ml/filetype, which moved from port 8080 to 8081, and its
// neighbour on 8080.
func moving(t *testing.T, closed bool, edit func(moved, neighbour *config.InferenceRoute)) xds.Resources {
	t.Helper()
	was := config.InferenceRoute{Key: config.Key{Namespace: "ml", Name: "filetype"}, RouteSpec: config.RouteSpec{
		Hostnames: []string{"old.ml"}, Listener: config.Listener{Port: 8080},
		Versions: []config.Version{{Name: "v1", Endpoints: []string{"127.0.0.1:8001"}}, {Name: "v2", Endpoints: []string{"127.0.0.1:8002"}}},
	}}
	moved, neighbour := was, was
	moved.Listener.Port, moved.Hostnames = 8081, []string{"new.ml"}
	neighbour.Key, neighbour.Hostnames = config.Key{Namespace: "ml", Name: "other"}, []string{"other.ml"}
	edit(&moved, &neighbour)
	cfg := &config.Config{Routes: []config.InferenceRoute{moved, neighbour}}
	splits := map[config.Key]config.Split{
		moved.Key:     {Epoch: 7, Shares: config.Carve("v1", "v2", 2500, 0)},
		neighbour.Key: {Epoch: 1, Shares: config.Whole("v1")},
	}
	r, err := new(xds.Translator).TranslateMoving(cfg, splits, xds.Formers{moved.Key: {{Listener: was.Listener, Hostnames: was.Hostnames, Closed: closed}}})
	require.NoError(t, err)
	return r
}

func namesOf(list []xds.Resource) string {
	var names []string
	for _, r := range list {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

func bodyOf(list []xds.Resource, name string) string {
	for _, r := range list {
		if r.Name == name {
			return string(r.Body)
		}
	}
	return ""
}

func TestARouteThatMovesIsLedFromItsFormerPortUnderThePresentSplit(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "filetype"}
	alone := func(_, neighbour *config.InferenceRoute) { neighbour.Listener.Port = 9000 }
	r := moving(t, false, alone)
	require.Equal(t, "sluice-8080 sluice-8081 sluice-9000", namesOf(r.Listeners))
	require.Contains(t, bodyOf(r.Routes, "old.ml:8080"), "ml/filetype@7")
	require.Contains(t, bodyOf(r.Routes, "new.ml:8081"), "ml/filetype@7")
	require.Equal(t, "new.ml:8081", r.Placed[k].Table)
	require.Len(t, r.Former[k], 1)
	require.Len(t, r.Kept[k], 1)
	require.Equal(t, "old.ml:8080", r.Former[k][0].Table)
	require.Equal(t, "sluice-8080", r.Former[k][0].Listener)
	require.Equal(t, "ml/filetype/v1 ml/filetype/v2 ml/other/v1 ml/other/v2", namesOf(r.Clusters), "its backends are there once")

	closed := moving(t, true, alone)
	require.Equal(t, "sluice-8081 sluice-9000", namesOf(closed.Listeners), "nobody is to connect there")
	require.Contains(t, bodyOf(closed.Routes, "old.ml:8080"), "ml/filetype@7", "who is connected is led")
	require.Empty(t, closed.Former[k][0].Listener)
}

func TestAFormerPortThatOthersUseIsTheirsFirst(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "filetype"}
	shared := moving(t, false, func(_, neighbour *config.InferenceRoute) {
		neighbour.Hostnames = []string{"old.ml", "other.ml"}
		neighbour.Matches = paths("/other")
	})
	require.Len(t, shared.Former[k], 1)
	table := bodyOf(shared.Routes, "old.ml:8080")
	require.Contains(t, table, "ml/filetype@7")
	require.Contains(t, table, "ml/other@1")

	for name, edit := range map[string]func(moved, neighbour *config.InferenceRoute){
		"a hostname that another one has now":   func(_, n *config.InferenceRoute) { n.Hostnames = []string{"old.ml"} },
		"a port that is on another address now": func(_, n *config.InferenceRoute) { n.Listener.Address = "127.0.0.2" },
	} {
		t.Run(name, func(t *testing.T) {
			r := moving(t, false, edit)
			require.Contains(t, r.Placed, k)
			require.Empty(t, r.Former[k])
			require.Empty(t, r.Kept, "and is not asked for again")
			require.Contains(t, r.Placed, config.Key{Namespace: "ml", Name: "other"}, "it is not refused for what has moved away")
		})
	}
}

func paths(values ...string) []config.Match {
	var list []config.Match
	for _, v := range values {
		list = append(list, config.Match{Path: &config.PathMatch{Type: config.PathPrefix, Value: v}})
	}
	return list
}

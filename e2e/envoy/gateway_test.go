package envoy

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// simple is an inference route with one version that answers with the route's
// name.
func simple(t *testing.T, port uint32, name string, hosts []string, matches ...config.Match) config.InferenceRoute {
	return config.InferenceRoute{Key: config.Key{Namespace: "ml", Name: name}, RouteSpec: config.RouteSpec{
		Hostnames: hosts,
		Listener:  config.Listener{Port: port},
		Matches:   matches,
		Versions:  []config.Version{{Name: "v1", Endpoints: []string{Model(t, name)}}},
	}}
}

func prefix(p string) config.Match {
	return config.Match{Path: &config.PathMatch{Type: config.PathPrefix, Value: p}}
}

// publishAll gives every inference route everything to v1, and waits for Envoy.
func (s *Stage) publishAll(cfg *config.Config) {
	s.t.Helper()
	splits := map[config.Key]config.Split{}
	for _, r := range cfg.Routes {
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
	}
	s.Publish(cfg, splits)
	for _, r := range cfg.Routes {
		s.Acked(r.Key, 1)
	}
}

// ask gives who answered, or the status if nobody did.
func (s *Stage) ask(port uint32, host, path string) string {
	s.t.Helper()
	saved := s.Port
	s.Port = port
	defer func() { s.Port = saved }()
	resp, body := s.Get(host, path)
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return body
}

func TestInferenceRoutesShareHostnamesAndPorts(t *testing.T) {
	s := NewStage(t)
	second := freePort(t)
	s.publishAll(&config.Config{Routes: []config.InferenceRoute{
		simple(t, s.Port, "rest", []string{"a.ml", "b.ml"}),
		simple(t, s.Port, "models", []string{"a.ml"}, prefix("/v2/models")),
		simple(t, s.Port, "one", []string{"a.ml"}, config.Match{Path: &config.PathMatch{Type: config.PathExact, Value: "/v2/models/one"}}),
		simple(t, s.Port, "other", []string{"c.ml"}),
		simple(t, second, "elsewhere", []string{"a.ml"}), // the same hostname on another port
	}})
	for _, tt := range []struct{ host, path, want string }{
		{"a.ml", "/", "rest"},
		{"b.ml", "/v2/models", "rest"},
		{"a.ml", "/v2/models", "models"},
		{"a.ml", "/v2/models/two", "models"},
		{"a.ml", "/v2/modelsx", "rest"},
		{"a.ml", "/v2/models/one", "one"},
		{"A.ML", "/v2/./models/one?x=1", "one"},
		{"c.ml", "/v2/models", "other"},
		{"d.ml", "/", "404 Not Found"},
	} {
		require.Equal(t, tt.want, s.ask(s.Port, tt.host, tt.path), "%s%s", tt.host, tt.path)
	}
	require.Equal(t, "elsewhere", s.ask(second, "a.ml", "/v2/models/one"))
	require.Equal(t, "404 Not Found", s.ask(second, "c.ml", "/"))
}

func TestAPortWithoutHostnamesServesAll(t *testing.T) {
	s := NewStage(t)
	s.publishAll(&config.Config{Routes: []config.InferenceRoute{
		simple(t, s.Port, "all", nil),
		simple(t, s.Port, "wild", []string{"*.ml"}),
		simple(t, s.Port, "special", []string{"a.ml"}, prefix("/v2")),
	}})
	for _, tt := range []struct{ host, path, want string }{
		{"anything", "/", "all"},
		{"b.ml", "/", "wild"},
		{"A.ml", "/v2/x", "special"},
		{"a.ml", "/other", "wild"},
	} {
		require.Equal(t, tt.want, s.ask(s.Port, tt.host, tt.path), "%s%s", tt.host, tt.path)
	}
}

func TestAnInferenceRouteComesAndGoes(t *testing.T) {
	s := NewStage(t, Tune{ADS: func(c *ads.Config) { c.Drain = 10 * time.Millisecond }})
	cfg := &config.Config{Routes: []config.InferenceRoute{simple(t, s.Port, "stays", []string{"a.ml"})}}
	s.publishAll(cfg)
	load := s.StartLoad("a.ml", 2)
	for i := range 5 {
		name := fmt.Sprintf("guest-%d", i)
		with := &config.Config{Routes: append([]config.InferenceRoute{simple(t, s.Port, name, []string{"b.ml"})}, cfg.Routes...)}
		s.publishAll(with)
		require.Equal(t, name, s.ask(s.Port, "b.ml", "/"))
		s.publishAll(cfg)
		s.Eventually("its hostname is gone", func() bool { return s.ask(s.Port, "b.ml", "/") == "404 Not Found" })
	}
	require.Empty(t, load.Stop())
}

func TestAPortThatCannotBeOpenedIsARefusalOfItsRoutes(t *testing.T) {
	s := NewStage(t)
	bad := simple(t, freePort(t), "bad", []string{"a.ml"})
	bad.Listener.Address = "203.0.113.1" // nobody's
	splits := splitOf(bad.Key, 1, config.Whole("v1"))
	s.Publish(&config.Config{Routes: []config.InferenceRoute{bad}}, splits)
	nack := Await(s, "nack", func(ads.Nacked) bool { return true })
	require.Equal(t, bad.Key, nack.Route)
	require.Equal(t, xds.TypeListener, nack.Resource.Type)
	require.Contains(t, nack.Text, "annot bind")
	require.Equal(t, nack.Resource, s.Server.Proxies()[0].Refused[0].Resource)
}

// Hostnames that come to share inference routes come to share a table, which may
// have another name than the one they had.
func TestAHostnameThatMovesToAnotherTableLosesNoRequest(t *testing.T) {
	s := NewStage(t, Tune{ADS: func(c *ads.Config) { c.Drain = 10 * time.Millisecond }})
	own := simple(t, s.Port, "own", []string{"m.ml"})
	s.publishAll(&config.Config{Routes: []config.InferenceRoute{own}})
	load := s.StartLoad("m.ml", 4)
	for i := range 20 {
		name := fmt.Sprintf("guest-%d", i)
		guest := simple(t, s.Port, name, []string{"a.ml", "m.ml"}, prefix("/guest"))
		s.publishAll(&config.Config{Routes: []config.InferenceRoute{guest, own}})
		require.Equal(t, name, s.ask(s.Port, "m.ml", "/guest"))
		s.publishAll(&config.Config{Routes: []config.InferenceRoute{own}})
		s.Eventually("the guest is gone", func() bool { return s.ask(s.Port, "m.ml", "/guest") == "own" })
	}
	require.Empty(t, load.Stop())
}

func TestAPortThatStopsOrStartsGoingByHostnameLosesNoRequest(t *testing.T) {
	s := NewStage(t)
	own := simple(t, s.Port, "own", []string{"m.ml"})
	s.publishAll(&config.Config{Routes: []config.InferenceRoute{own}})
	load := s.StartLoad("m.ml", 4)
	for i := range 3 {
		rest := simple(t, s.Port, fmt.Sprintf("rest-%d", i), nil)
		s.publishAll(&config.Config{Routes: []config.InferenceRoute{own, rest}})
		s.Eventually("every hostname is served", func() bool { return s.ask(s.Port, "any", "/") == rest.Name })
		s.publishAll(&config.Config{Routes: []config.InferenceRoute{own}})
		s.Eventually("only one is", func() bool { return s.ask(s.Port, "any", "/") == "404 Not Found" })
	}
	require.Empty(t, load.Stop())
	s.NobodyTimedOut()
}

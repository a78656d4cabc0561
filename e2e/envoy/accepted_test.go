package envoy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// drawConfig draws inference routes that share a port, from values that a user might
// think of and ones that only just pass. Some are refused.
func drawConfig(t *rapid.T, port uint32) *config.Config {
	c := &config.Config{}
	for i := range rapid.IntRange(1, 3).Draw(t, "routes") {
		r := config.InferenceRoute{Key: config.Key{Namespace: "ml", Name: fmt.Sprintf("route-%d", i)}, RouteSpec: drawRoute(t, i)}
		r.Listener.Port = port
		c.Routes = append(c.Routes, r)
	}
	return c
}

// drawRoute never gives two routes the same match of the same hostname by chance: its
// number is in both.
func drawRoute(t *rapid.T, number int) config.RouteSpec {
	one := func(what string, values ...string) string { return rapid.SampledFrom(values).Draw(t, what) }
	s := config.RouteSpec{
		Hostnames: rapid.SampledFrom([][]string{nil, {"a.ml"}, {fmt.Sprintf("h%d.ml", number), "a-b.c-d.example"}}).Draw(t, "hostnames"),
		Protocol:  rapid.SampledFrom([]config.Protocol{config.ProtocolHTTP, config.ProtocolGRPC, config.ProtocolOpenAI}).Draw(t, "protocol"),
		Timeouts:  config.Timeouts{Request: drawDuration(t, "request")},
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "versions") {
		v := config.Version{Name: fmt.Sprintf("%s%d", one("name", "v", "0-", "a--b"), i)}
		for j := range rapid.IntRange(1, 2).Draw(t, "endpoints") {
			v.Endpoints = append(v.Endpoints, fmt.Sprintf("127.0.%d.%d:9", number, 10*i+j+1))
		}
		if rapid.Bool().Draw(t, "health") {
			v.Health = &config.Health{Path: one("health path", "/", "/ready?a=b#c", "/%7E/..//"), Interval: rapid.SampledFrom([]config.Duration{1, 1e6, 1e9, 1<<63 - 1}).Draw(t, "interval")}
		}
		s.Versions = append(s.Versions, v)
	}
	s.Matches = drawMatches(t, s.Protocol, number)
	s.Stickiness = rapid.SampledFrom([]*config.Stickiness{
		nil,
		{Header: one("unit", "x-user-id", "X-User", "!#$%&'*+-.^_`|~", "cookie")},
		{ClientAddress: &config.ClientAddress{}},
		{Cookie: &config.UnitCookie{Name: one("cookie", "unit", "u%~", "%REQ%")}},
		{Cookie: &config.UnitCookie{Name: "unit", TTL: rapid.SampledFrom([]config.Duration{1e9, 3600 * 24 * 365 * 200 * 1e9}).Draw(t, "ttl")}},
	}).Draw(t, "stickiness")
	last := s.Versions[len(s.Versions)-1].Name
	if rapid.Bool().Draw(t, "overrides") {
		s.Overrides = []config.Override{
			{Header: &config.HeaderMatch{Name: one("tester", "x-tester", "X-T"), Type: config.HeaderExpression, Value: one("expression", "a|b", `\d+`, "(?i)yes", ".*", "[^ ]")}, Version: last},
			{Cookie: &config.CookieMatch{Name: one("tester's cookie", "t", "t$^1", "%REQ%"), Value: one("value", "a=b", ".*", "[", "(", "%20", "$1")}, Version: last},
		}
	}
	drawStrategy(t, &s)
	return s.Default()
}

func drawDuration(t *rapid.T, what string) config.Duration {
	return rapid.SampledFrom([]config.Duration{1e6, config.Duration(time.Second), 1500e6, config.Duration(time.Hour), 1 << 55, 1<<63 - 1}).Draw(t, what)
}

func drawMatches(t *rapid.T, p config.Protocol, number int) []config.Match {
	own := fmt.Sprintf("/r%d", number)
	paths := []*config.PathMatch{
		nil,
		{Type: config.PathPrefix, Value: own},
		{Type: config.PathPrefix, Value: own + "/"},
		{Type: config.PathExact, Value: own + "/%7E;a=b"},
		{Type: config.PathExact, Value: own + "/*"},
		{Type: config.PathExpression, Value: own + `/[^/]+/(infer|"ready")`},
		{Type: config.PathExpression, Value: own + `/\pL{2}.*`},
	}
	headers := [][]config.HeaderMatch{
		nil,
		{{Name: "x-a", Type: config.HeaderExact, Value: "1"}},
		{{Name: "X-B", Type: config.HeaderExpression, Value: `\d+`}, {Name: "x-c", Type: config.HeaderExact, Value: "it's: #,%"}},
		{{Name: "x-a", Type: config.HeaderExpression, Value: "()"}},
	}
	var matches []config.Match
	for range rapid.IntRange(0, 2).Draw(t, "matches") {
		m := config.Match{
			Path: rapid.SampledFrom(paths).Draw(t, "path"), Headers: rapid.SampledFrom(headers).Draw(t, "headers"),
			Method: rapid.SampledFrom([]string{"", "GET", "POST", "TRACE"}).Draw(t, "method"),
		}
		if p == config.ProtocolGRPC {
			m.Path, m.Method = nil, ""
			m.GRPC = rapid.SampledFrom([]*config.GRPCMatch{nil, {Service: "a.B" + own[1:]}, {Method: "C"}, {Service: "a.B", Method: "C_1"}}).Draw(t, "call")
		}
		if p == config.ProtocolOpenAI {
			m.Model = rapid.SampledFrom([]string{"", "meta/llama-3.1" + own, ` a "model"`, "ü", "%", "$1"}).Draw(t, "model")
		}
		matches = append(matches, m)
	}
	return matches
}

func drawStrategy(t *rapid.T, s *config.RouteSpec) {
	first, last := s.Versions[0].Name, s.Versions[len(s.Versions)-1].Name
	part := config.Percent(rapid.SampledFrom([]int{100, 500_000, 999_900}).Draw(t, "part"))
	switch strategy := rapid.IntRange(0, 3).Draw(t, "strategy"); {
	case len(s.Versions) == 1 || strategy == 0:
		s.Strategy.Split = &config.FixedSplit{Weights: map[string]config.Percent{first: config.PerMillion}}
	case strategy == 1 && s.Stickiness != nil:
		s.Strategy.ABTest = &config.ABTest{Arms: map[string]config.Percent{first: part, last: config.PerMillion - part}, Reference: first}
	case strategy == 2:
		s.Strategy.Shadow, s.Mirroring = &config.Shadow{Of: first, To: last, Percent: part}, config.MirroringAllowed
	default:
		s.Target, s.InitialStable, s.Mirroring = last, first, config.MirroringAllowed
		s.Strategy.Canary = &config.Canary{Steps: []config.Step{{Shadow: part, For: 1}, {Weight: part}}}
		s.Protect.RetryOnStable = rapid.SampledFrom([]*config.RetryOnStable{nil, {Budget: part}, {On: []config.Failure{config.Failure5xx}, Budget: config.PerMillion}}).Draw(t, "retry")
	}
}

// anySplits draws what the control plane might publish of routes.
func anySplits(t *rapid.T, c *config.Config, epoch uint64) map[config.Key]config.Split {
	splits := map[config.Key]config.Split{}
	for _, r := range c.Routes {
		state := canary.State{Published: config.Split{Epoch: epoch}}
		if r.Strategy.Canary == nil {
			splits[r.Key] = state.Split(r.RouteSpec)
			continue
		}
		weight := rapid.SampledFrom([]uint32{0, 1, 2500, 9999, 10_000}).Draw(t, "weight")
		split := config.Split{Epoch: epoch, Shares: config.Carve(r.InitialStable, r.Target, weight, rapid.SampledFrom([]uint32{0, 6000, 9999}).Draw(t, "offset"))}
		if rapid.Bool().Draw(t, "mirror") {
			split.Mirror = config.Share{Version: r.Target, Weight: 3000}
		}
		splits[r.Key] = split
	}
	return splits
}

// tally says how many of the drawn were valid.
type tally struct{ drawn, valid int }

func (n *tally) count(t *rapid.T, c *config.Config) bool {
	n.drawn++
	if err := config.Validate(c); err != nil {
		t.Log(err)
		return false
	}
	n.valid++
	return true
}

func (n *tally) enough(t *testing.T) {
	t.Helper()
	t.Logf("%d of %d drawn configs were valid", n.valid, n.drawn)
	if n.valid*4 < n.drawn {
		t.Errorf("too few of the drawn configs are valid: %d of %d", n.valid, n.drawn)
	}
}

// passes draws a config and requires that it passes the rules of Envoy's protobufs.
func (n *tally) passes(t *rapid.T) {
	c := drawConfig(t, 8080)
	if !n.count(t, c) {
		return
	}
	if _, err := xds.Translate(c, anySplits(t, c, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestWhateverIsValidPassesEnvoysOwnRules(t *testing.T) {
	var n tally
	rapid.Check(t, n.passes)
	n.enough(t)
}

func FuzzWhateverIsValidPassesEnvoysOwnRules(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(new(tally).passes))
}

// The real Envoy takes a sample of it, of which every run draws another, each in place
// of the one before: of all that differs, nothing keeps it waiting, be it clusters that
// go and come back within milliseconds.
func TestWhateverIsValidIsTakenByEnvoy(t *testing.T) {
	s := NewStage(t, Tune{ADS: func(c *ads.Config) { c.Drain = time.Millisecond }})
	var n tally
	epoch := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t, s.Port)
		if !n.count(t, c) {
			return
		}
		epoch++
		s.Forget()
		splits := anySplits(t, c, epoch)
		if err := s.Server.Publish(c, splits); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Routes {
			s.taken(t, r.Key, epoch)
		}
	})
	n.enough(t)
}

// taken waits for the answer to an epoch, which must not be a refusal.
func (s *Stage) taken(t *rapid.T, k config.Key, epoch uint64) {
	timeout := time.After(patience)
	for {
		s.mu.Lock()
		events := slices.Clone(s.events)
		s.mu.Unlock()
		for _, e := range events {
			switch e := e.(type) {
			case ads.Nacked:
				t.Fatalf("%s@%d: envoy refuses %v: %s", e.Route, e.Epoch, e.Resource, e.Text)
			case ads.TimedOut:
				t.Fatalf("%s@%d: no answer to %v", e.Route, e.Epoch, e.Resource)
			case ads.Acked:
				if e.Route == k && e.Epoch == epoch {
					return
				}
			}
		}
		select {
		case <-s.news:
		case <-timeout:
			t.Fatalf("%s@%d: neither taken nor refused within %v: %+v", k, epoch, patience, events)
		}
	}
}

package envoy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// cell is one inference route of the matrix.
type cell struct {
	strategy      string
	sticky, retry bool
	grpc          bool
	host          string
	key           config.Key
	mirrored      *atomic.Int64 // requests that v2 got as copies
}

// matrix is every strategy with and without stickiness and retryOnStable, as far as
// validation lets it, for HTTP and for gRPC.
func matrix() (cells []*cell) {
	for _, strategy := range []string{"split", "canary", "abTest", "shadow", "overrides"} {
		for i := range 8 {
			c := &cell{strategy: strategy, sticky: i&1 > 0, retry: i&2 > 0, grpc: i&4 > 0, mirrored: new(atomic.Int64)}
			if c.retry && strategy != "canary" && strategy != "overrides" {
				continue // refused: it has no stable version
			}
			if !c.sticky && strategy == "abTest" {
				continue // refused: what it compares is units
			}
			name := fmt.Sprintf("%s-%d", strings.ToLower(strategy), i)
			c.host, c.key = name+".ml", config.Key{Namespace: "ml", Name: name}
			cells = append(cells, c)
		}
	}
	return cells
}

func (c *cell) String() string {
	return fmt.Sprintf("%s sticky=%t retry=%t grpc=%t", c.strategy, c.sticky, c.retry, c.grpc)
}

// route has a candidate that always fails where it is covered.
func (c *cell) route(t *testing.T, port uint32) config.InferenceRoute {
	const half = config.PerMillion / 2
	r := config.InferenceRoute{Key: c.key, RouteSpec: config.RouteSpec{
		Hostnames: []string{c.host}, Listener: config.Listener{Port: port}, Protocol: config.ProtocolHTTP,
		Versions: []config.Version{
			{Name: "v1", Endpoints: []string{c.model(t, false)}},
			{Name: "v2", Endpoints: []string{c.model(t, c.retry)}},
		},
	}}
	if c.grpc {
		r.Protocol = config.ProtocolGRPC
	}
	if c.sticky {
		r.Stickiness = &config.Stickiness{Header: "x-user-id"}
	}
	if c.retry {
		r.Protect.RetryOnStable = &config.RetryOnStable{Budget: config.PerMillion}
	}
	switch c.strategy {
	case "split":
		r.Strategy.Split = &config.FixedSplit{Weights: map[string]config.Percent{"v1": half, "v2": half}}
	case "abTest":
		r.Strategy.ABTest = &config.ABTest{Arms: map[string]config.Percent{"v1": half, "v2": half}, Reference: "v1"}
	case "shadow":
		r.Strategy.Shadow, r.Mirroring = &config.Shadow{Of: "v1", To: "v2", Percent: config.PerMillion}, config.MirroringAllowed
	case "overrides":
		r.Overrides = []config.Override{{Header: &config.HeaderMatch{Name: "x-tester", Value: "new"}, Version: "v2"}}
		fallthrough
	case "canary":
		r.Target, r.InitialStable = "v2", "v1"
		r.Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: half}}}
	}
	r.RouteSpec = r.RouteSpec.Default()
	return r
}

// model answers HTTP and gRPC alike: with a frame of no bytes.
func (c *cell) model(t *testing.T, failing bool) string {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("x-sluice-shadow") != "" {
			c.mirrored.Add(1)
		}
		switch {
		case c.grpc && failing:
			w.Header().Set("content-type", "application/grpc")
			w.Header().Set("grpc-status", "14")
		case c.grpc:
			w.Header().Set("content-type", "application/grpc")
			w.Header().Set("trailer", "grpc-status")
			_, _ = w.Write(make([]byte, 5))
			w.Header().Set("grpc-status", "0")
		case failing:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// split is what the control plane gives the route.
func (c *cell) split(r config.RouteSpec) config.Split {
	s := canary.State{Published: config.Split{Epoch: 3}}
	if r.Strategy.Canary != nil {
		return config.Split{Epoch: 3, Shares: config.Carve("v1", "v2", 5000, 2000)}
	}
	return s.Split(r)
}

// ask makes one request and gives who answered it: "v1@3".
type ask func(c *cell, header map[string]string) (served string, err error)

// speaking gives a client of HTTP, version 1 or 2.
func (s *Stage) speaking(version int) ask {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version == 1)
	protocols.SetUnencryptedHTTP2(version == 2)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	s.t.Cleanup(client.CloseIdleConnections)
	return func(c *cell, header map[string]string) (string, error) {
		req := s.Request(c.host, "/")
		for name, value := range header {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return "", err
		}
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != version {
			return "", fmt.Errorf("%s %s by %s", resp.Proto, resp.Status, resp.Header.Get("x-sluice"))
		}
		return resp.Header.Get("x-sluice"), nil
	}
}

// calling gives a client of gRPC.
func (s *Stage) calling() ask {
	conns := map[string]*grpc.ClientConn{}
	return func(c *cell, header map[string]string) (string, error) {
		if conns[c.host] == nil {
			conns[c.host] = s.dial(c.host)
		}
		ctx := metadata.NewOutgoingContext(s.t.Context(), metadata.New(header))
		var got metadata.MD
		err := conns[c.host].Invoke(ctx, "/a.Model/Infer", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{}, grpc.Header(&got))
		if status.Code(err) != codes.OK {
			return "", err
		}
		return strings.Join(got.Get("x-sluice"), ","), nil
	}
}

// One story of each strategy, told in HTTP/1.1, HTTP/2 and gRPC, with and without
// stickiness and retryOnStable.
func TestEveryStrategyIsServedInEveryProtocol(t *testing.T) {
	s := NewStage(t)
	cfg := &config.Config{}
	splits := map[config.Key]config.Split{}
	cells := matrix()
	for _, c := range cells {
		r := c.route(t, s.Port)
		cfg.Routes = append(cfg.Routes, r)
		splits[c.key] = c.split(r.RouteSpec)
	}
	require.NoError(t, config.Validate(cfg), "users may write all of it")
	s.Publish(cfg, splits)
	for _, c := range cells {
		s.Acked(c.key, 3)
	}
	protocols := []struct {
		name string
		grpc bool
		ask  ask
	}{{"HTTP/1.1", false, s.speaking(1)}, {"HTTP/2", false, s.speaking(2)}, {"gRPC", true, s.calling()}}
	for _, c := range cells {
		for _, p := range protocols {
			if p.grpc == c.grpc {
				t.Run(c.String()+" "+p.name, func(t *testing.T) { c.tell(t, p.ask) })
			}
		}
	}
}

// tell asks for many units, each twice, and requires what the strategy promises.
func (c *cell) tell(t *testing.T, ask ask) {
	const units = 40
	served := map[string]int{}
	moved := 0
	before := c.mirrored.Load()
	for unit := range units {
		header := map[string]string{"x-user-id": fmt.Sprintf("user-%d", unit)}
		first, err := ask(c, header)
		require.NoError(t, err)
		second, err := ask(c, header)
		require.NoError(t, err)
		served[first]++
		served[second]++
		if first != second {
			moved++
		}
	}
	want := map[bool][]string{false: {"v1@3", "v2@3"}, true: {"v1@3"}}[c.retry || c.strategy == "shadow"]
	for _, stamp := range want {
		require.Positive(t, served[stamp], "%s of %v", stamp, served)
	}
	require.Len(t, served, len(want), "%v", served)
	if c.sticky {
		require.Zero(t, moved, "a unit keeps its version")
	} else if len(want) > 1 {
		require.Positive(t, moved, "every request is drawn anew")
	}
	switch c.strategy {
	case "shadow":
		require.Eventually(t, func() bool { return c.mirrored.Load() == before+2*units }, patience, time.Millisecond, "every request is copied")
	case "overrides":
		stamp, err := ask(c, map[string]string{"x-tester": "new"})
		if !c.retry {
			require.NoError(t, err)
			require.Equal(t, "v2@0", stamp)
			return
		}
		require.Error(t, err, "a tester sees what the version does, and nobody stands in for it")
	}
}

package probe_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/probe"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
)

func TestProber(t *testing.T) {
	var ready atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" || !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	deadAddress := dead.Addr().String()
	require.NoError(t, dead.Close())

	reports := make(chan probe.Readiness, 64)
	prober, err := probe.New(probe.Config{
		Report: func(r probe.Readiness) { reports <- r }, Interval: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- prober.Run(ctx) }()
	defer func() { stop(); require.ErrorIs(t, await.Next(t, ended, "the end of the prober"), context.Canceled) }()

	address := server.Listener.Addr().String()
	key := config.Key{Namespace: "ml", Name: "filetype"}
	route := config.InferenceRoute{Key: key}
	route.Versions = []config.Version{
		{Name: "http", Endpoints: []string{address}, Health: &config.Health{Path: "/ready"}},
		{Name: "tcp", Endpoints: []string{address, deadAddress}},
	}
	require.NoError(t, prober.Configure(ctx, &config.Config{Routes: []config.InferenceRoute{route}}))

	until := func(want func(probe.Readiness) bool) probe.Readiness {
		for {
			if r := await.Next(t, reports, "a report"); want(r) {
				return r
			}
		}
	}
	seen := map[string]probe.Readiness{}
	until(func(r probe.Readiness) bool {
		if r.Checked {
			seen[r.Version] = r
		}
		return len(seen) == 2
	})
	require.Equal(t, 0, seen["http"].Ready, "a 503 is not ready")
	require.Contains(t, seen["http"].Fact, "503")
	require.Equal(t, 1, seen["tcp"].Ready, "a port that accepts is ready, a dead one is not")
	require.Equal(t, 2, seen["tcp"].Total)
	require.Contains(t, seen["tcp"].Fact, "refused")

	ready.Store(true)
	got := until(func(r probe.Readiness) bool { return r.Version == "http" })
	require.Equal(t, 1, got.Ready)

	route.Versions = route.Versions[:1]
	require.NoError(t, prober.Configure(ctx, &config.Config{Routes: []config.InferenceRoute{route}}))
	ready.Store(false)
	got = until(func(r probe.Readiness) bool { return r.Ready == 0 })
	require.Equal(t, "http", got.Version, "a version that was removed is no longer asked")
}

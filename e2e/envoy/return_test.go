package envoy

import (
	"maps"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/ads"
)

// sent counts what a control plane tells its proxies.
type sent struct{ responses, resources atomic.Int64 }

// count is of one stream.
func (s *sent) count(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(srv, countedStream{stream, s})
}

type countedStream struct {
	grpc.ServerStream

	sent *sent
}

// SendMsg counts a response as its proxy will read it.
func (c countedStream) SendMsg(m any) error {
	if m, ok := m.(*discoverypb.DeltaDiscoveryResponse); ok {
		wire, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		var read discoverypb.DeltaDiscoveryResponse
		if err := proto.Unmarshal(wire, &read); err != nil {
			return err
		}
		c.sent.responses.Add(1)
		c.sent.resources.Add(int64(len(read.GetResources()) + len(read.GetRemovedResources())))
	}
	return c.ServerStream.SendMsg(m)
}

// A proxy tries again at once, however long the control plane was away, and says what
// it holds; so it is told nothing of that, however much there is, and of an edit made
// meanwhile the one table.
func TestAProxyComesBackAndIsToldOnlyWhatItLacks(t *testing.T) {
	s := NewStage(t)
	cfg := &config.Config{}
	splits := map[config.Key]config.Split{}
	for i := range 30 {
		host := string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".ml"
		r := simple(t, s.Port, "model-"+host[:2], []string{host})
		cfg.Routes = append(cfg.Routes, r)
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
	}
	last := cfg.Routes[len(cfg.Routes)-1]
	s.Publish(cfg, splits)
	for _, r := range cfg.Routes {
		s.Acked(r.Key, 1)
	}
	load := s.StartLoad(last.Hostnames[0], 2)
	load.Await(t, 10)

	for _, tt := range []struct {
		what      string
		away      time.Duration
		resources int64
	}{{"nothing new", 0, 0}, {"nothing new after a while", 4 * time.Second, 0}, {"an edit", 0, 1}} {
		gone := time.Now()
		s.StopControl()
		s.Forget()
		s.Eventually("the while", func() bool { return time.Since(gone) >= tt.away })
		if tt.resources > 0 {
			splits = maps.Clone(splits)
			splits[last.Key] = config.Split{Epoch: 2, Shares: config.Whole("v1")}
		}
		var sent sent
		s.startCounting(ads.Config{Notify: s.note}, &sent, func(server *ads.Server) error { return server.Publish(cfg, splits) })
		back := time.Now()
		came := Await(s, "the proxy", func(ads.Connected) bool { return true })
		for _, r := range cfg.Routes {
			s.Acked(r.Key, splits[r.Key].Epoch)
		}
		require.Equal(t, tt.resources, sent.resources.Load(), tt.what)
		t.Logf("%s: away %v, back after %v, acknowledged after %v, %d responses, %d resources",
			tt.what, tt.away, came.At.Sub(back), time.Since(back), sent.responses.Load(), sent.resources.Load())
	}
	require.Empty(t, load.Stop())
}

// startCounting is StartControl for one that knows something before it serves, as
// `sluice run` does, and counts what it sends.
func (s *Stage) startCounting(cfg ads.Config, sent *sent, prepare func(*ads.Server) error) {
	s.t.Helper()
	listener, server := s.newControl(cfg)
	require.NoError(s.t, prepare(server))
	s.serveControl(server, func(g *grpc.Server) error { return g.Serve(listener) }, grpc.StreamInterceptor(sent.count))
}

// A proxy that hangs is named, holds up nobody, and shows in its logs what it serves.
func TestAStuckProxyIsNamedAndCatchesUp(t *testing.T) {
	s := NewStage(t, Tune{ADS: func(c *ads.Config) { c.AckTimeout = time.Second }})
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	pid := s.Minder.Status().PID
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // should the test have failed
	s.Publish(cfg, splitOf(filetype, 2, config.Whole("v2")))
	stuck := Await(s, "time-out", func(e ads.TimedOut) bool { return e.Route == filetype && e.Epoch == 2 })
	require.Equal(t, []string{"envoy-1"}, stuck.Proxies)
	status := s.Server.Proxies()[0].Routes[0]
	require.True(t, status.Late)
	require.Equal(t, uint64(1), status.Acked.Epoch)

	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	s.Eventually("it catches up", func() bool { return s.Server.Proxies()[0].Routes[0].Acked.Epoch == 2 })
	require.False(t, s.Server.Proxies()[0].Routes[0].Late)
	resp, _ := s.Get("filetype.ml", "/")
	require.Equal(t, "v2@2", resp.Header.Get("x-sluice"))
}

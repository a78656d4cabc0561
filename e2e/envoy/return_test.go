package envoy

import (
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/ads"
)

// sentBytes counts what a server writes to its connections.
type sentBytes struct {
	net.Listener

	n *atomic.Int64
}

func (l sentBytes) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return sentConn{c, l.n}, err
}

type sentConn struct {
	net.Conn

	n *atomic.Int64
}

func (c sentConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// A proxy tries again at once and says what it holds, so a control plane that comes
// back tells it next to nothing, however much there is.
func TestAProxyComesBackToldNextToNothing(t *testing.T) {
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
	s.StopControl()
	s.Forget()

	var sent atomic.Int64
	s.startCounting(ads.Config{Notify: s.note}, &sent, func(server *ads.Server) error { return server.Publish(cfg, splits) })
	for _, r := range cfg.Routes {
		s.Acked(r.Key, 1)
	}
	require.Less(t, sent.Load(), int64(4<<10), "of all that it holds it was sent nothing")
	require.Empty(t, load.Stop())
}

// startCounting is StartControl for one that knows something before it serves, as
// `sluice run` does, and counts what it sends.
func (s *Stage) startCounting(cfg ads.Config, sent *atomic.Int64, prepare func(*ads.Server) error) {
	s.t.Helper()
	listener, server := s.newControl(cfg)
	require.NoError(s.t, prepare(server))
	s.serveControl(server, func(g *grpc.Server) error { return g.Serve(sentBytes{listener, sent}) })
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

package envoy

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// occupy takes a port as another program would, and lets go of it with the test.
func occupy(t *testing.T) (port uint32, release func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	t.Cleanup(func() { _ = l.Close() }) // it may have been released
	return uint32(address.Port), func() { require.NoError(t, l.Close()) }
}

// at gives cfg with its first inference route on another port.
func at(cfg *config.Config, port uint32) *config.Config {
	moved := *cfg
	route := cfg.Routes[0]
	route.Listener.Port = port
	moved.Routes = append([]config.InferenceRoute{route}, cfg.Routes[1:]...)
	return &moved
}

// A port that another program holds is refused. The inference route can go to
// another one, and opens by itself when its own is free, in both protocols and
// beside a listener that is well.
func TestABusyPortIsLeftOrWaitedFor(t *testing.T) {
	for _, protocol := range []struct {
		name  string
		world bool
	}{{"incremental", false}, {"state of the world", true}} {
		t.Run(protocol.name, func(t *testing.T) {
			s := NewStage(t, Tune{Bootstrap: func(b *xds.BootstrapConfig) { b.StateOfTheWorld = protocol.world }})
			cfg := twoVersions(t, s, filetype, "filetype.ml")
			other := simple(t, s.Port, "other", []string{"other.ml"})
			cfg.Routes = append(cfg.Routes, other)
			publish := func(port uint32, epoch uint64) {
				splits := splitOf(filetype, epoch, config.Whole("v1"))
				splits[other.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
				s.Publish(at(cfg, port), splits)
			}
			refused := func(epoch uint64) {
				nack := Await(s, "nack", func(e ads.Nacked) bool { return e.Route == filetype && e.Epoch == epoch })
				require.Contains(t, nack.Text, "Address already in use")
			}
			taken, release := occupy(t)
			publish(taken, 1)
			refused(1)
			s.Acked(other.Key, 1)

			free := freePort(t)
			publish(free, 2)
			s.Acked(filetype, 2)
			require.Equal(t, "v1", s.ask(free, "filetype.ml", "/"))

			publish(taken, 3)
			refused(3)
			s.Acked(filetype, 3) // where it was
			require.Equal(t, "v1", s.ask(free, "filetype.ml", "/"))
			s.Forget()
			release()
			s.Acked(filetype, 3)
			require.Equal(t, "v1", s.ask(taken, "filetype.ml", "/"))
			require.Empty(t, s.Server.Proxies()[0].Refused)
			require.Equal(t, "other", s.ask(s.Port, "other.ml", "/"))
			s.NobodyTimedOut()
		})
	}
}

package envoy

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// hasty gives up on proxies, and has connections drained, sooner than a refused
// port is offered again.
func hasty(world bool) Tune {
	return Tune{
		ADS:       func(c *ads.Config) { c.AckTimeout, c.Drain = 100*time.Millisecond, 300*time.Millisecond },
		Bootstrap: func(b *xds.BootstrapConfig) { b.StateOfTheWorld = world },
	}
}

// offeredAgain waits until Envoy has refused once more what it was refusing, which
// is after every time-out of a hasty stage.
func (s *Stage) offeredAgain() {
	s.t.Helper()
	since := s.Server.Proxies()[0].Routes[0].NackedAt
	s.Eventually("the port is offered again", func() bool { return s.Server.Proxies()[0].Routes[0].NackedAt.After(since) })
}

// closes waits until nobody listens on a port.
func (s *Stage) closes(port uint32) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("port %d closes", port), func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close() // it was only to see
		}
		return err != nil
	})
}

// A port that is taken leaves the former one as it was, under every split that is
// published meanwhile, and alone there or beside others.
func TestARouteThatCannotMoveIsServedWhereItWas(t *testing.T) {
	for _, c := range []struct {
		name          string
		world, shared bool
	}{
		{"alone, incremental", false, false},
		{"beside others, state of the world", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewStage(t, hasty(c.world))
			cfg := twoVersions(t, s, filetype, "filetype.ml")
			other := simple(t, s.Port, "other", []string{"other.ml"})
			if c.shared {
				cfg.Routes = append(cfg.Routes, other)
			}
			publish := func(port uint32, epoch uint64, weight uint32) {
				splits := splitOf(filetype, epoch, config.Carve("v1", "v2", weight, 0))
				splits[other.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
				s.Publish(at(cfg, port), splits)
			}
			publish(s.Port, 1, 6600)
			s.Acked(filetype, 1)
			load := s.StartLoad("filetype.ml", 2)
			busy, release := occupy(t)
			publish(busy, 1, 6600)
			nack := Await(s, "nack", func(e ads.Nacked) bool { return e.Route == filetype })
			require.Contains(t, nack.Text, "Address already in use")
			s.offeredAgain()

			s.Forget()
			publish(busy, 2, 0) // it is aborted
			s.Acked(filetype, 2)
			require.Equal(t, uint64(2), s.Server.Proxies()[0].Routes[0].Acked.Epoch)
			for range 100 {
				resp, body := s.Get("filetype.ml", "/")
				require.Equal(t, "200 v1@2", fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("x-sluice")), body)
			}
			Await(s, "the text again", func(e ads.Nacked) bool { return e.Route == filetype && e.Epoch == 2 })
			require.Empty(t, load.Stop(), "nobody noticed")

			s.Forget()
			release()
			s.Acked(filetype, 2)
			require.Equal(t, "v1", s.ask(busy, "filetype.ml", "/"))
			require.Empty(t, s.Server.Proxies()[0].Refused)
			if !c.shared {
				s.closes(s.Port)
				return
			}
			s.Eventually("its hostname leaves the port", func() bool { return s.ask(s.Port, "filetype.ml", "/") == "404 Not Found" })
			require.Equal(t, "other", s.ask(s.Port, "other.ml", "/"))
		})
	}
}

// Who mends the manifest instead is served by the former port as if nothing had
// been.
func TestARouteThatCannotMoveStaysWhenTheManifestIsMended(t *testing.T) {
	s := NewStage(t, hasty(false))
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	load := s.StartLoad("filetype.ml", 2)
	busy, _ := occupy(t)
	s.Publish(at(cfg, busy), splitOf(filetype, 1, config.Whole("v1")))
	Await(s, "nack", func(e ads.Nacked) bool { return e.Route == filetype })
	s.Forget()
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	require.Empty(t, s.Server.Proxies()[0].Refused)
	s.Forget()
	free := freePort(t)
	s.Publish(at(cfg, free), splitOf(filetype, 2, config.Whole("v2")))
	s.Acked(filetype, 2)
	require.Equal(t, "v2", s.ask(free, "filetype.ml", "/"))
	require.Empty(t, load.Stop())
	s.closes(s.Port)
}

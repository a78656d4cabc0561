package envoy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// splitOf gives one inference route's split.
func splitOf(k config.Key, epoch uint64, shares []config.Share) map[config.Key]config.Split {
	return map[config.Key]config.Split{k: {Epoch: epoch, Shares: shares}}
}

func TestFlipsUnderLoadFailNoRequest(t *testing.T) {
	for _, protocol := range []struct {
		name  string
		world bool
	}{{"incremental", false}, {"state of the world", true}} {
		t.Run(protocol.name, func(t *testing.T) {
			s := NewStage(t, Tune{Bootstrap: func(b *xds.BootstrapConfig) { b.StateOfTheWorld = protocol.world }})
			cfg := twoVersions(t, s, filetype, "filetype.ml")
			s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
			s.Acked(filetype, 1)
			load := s.StartLoad("filetype.ml", 4)
			const flips = 100
			for epoch := uint64(2); epoch <= flips+1; epoch++ {
				s.Publish(cfg, splitOf(filetype, epoch, config.Whole([]string{"v1", "v2"}[epoch%2])))
				s.Acked(filetype, epoch)
				load.Await(t, int64(epoch)) // so that requests meet every flip, however busy the machine is
			}
			require.Empty(t, load.Stop())
		})
	}
}

func TestANewVersionIsMadeBeforeItIsRoutedTo(t *testing.T) {
	s := NewStage(t, Tune{ADS: func(c *ads.Config) { c.Drain = 50 * time.Millisecond }})
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	load := s.StartLoad("filetype.ml", 4)
	for epoch := uint64(2); epoch <= 21; epoch++ {
		next := *cfg
		route := cfg.Routes[0]
		// The versions before this one go, and it comes, in one publication.
		name := "w" + string(rune('a'+epoch))
		route.Versions = []config.Version{{Name: name, Endpoints: []string{Model(t, name)}, Health: &config.Health{Path: "/"}}}
		next.Routes = []config.InferenceRoute{route}
		s.Publish(&next, splitOf(filetype, epoch, config.Whole(name)))
		s.Acked(filetype, epoch)
	}
	require.Empty(t, load.Stop())
}

func TestARefusedChangeKeepsTheLastGoodOneAndShowsEnvoysText(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)

	bad := *cfg
	route := cfg.Routes[0]
	// A valid expression, but a larger program than Envoy compiles.
	route.Matches = []config.Match{{Path: &config.PathMatch{Type: config.PathExpression, Value: "/" + strings.Repeat("[a-z]{3,9}", 30)}}}
	bad.Routes = []config.InferenceRoute{route}
	s.Publish(&bad, splitOf(filetype, 2, config.Whole("v2")))
	nack := Await(s, "nack", func(e ads.Nacked) bool { return e.Route == filetype })
	require.Equal(t, uint64(2), nack.Epoch)
	require.Equal(t, "envoy-1", nack.Proxy)
	require.Contains(t, nack.Text, "max program size")

	status := s.Server.Proxies()[0].Routes[0]
	require.Equal(t, uint64(2), status.Published.Epoch)
	require.Equal(t, uint64(2), status.Sent.Epoch)
	require.Equal(t, uint64(1), status.Acked.Epoch)
	require.Equal(t, nack.Text, status.Nack)
	resp, _ := s.Get("filetype.ml", "/")
	require.Equal(t, "v1@1", resp.Header.Get("x-sluice"), "traffic stays as it was")

	s.Publish(cfg, splitOf(filetype, 3, config.Whole("v2")))
	s.Acked(filetype, 3)
	resp, _ = s.Get("filetype.ml", "/")
	require.Equal(t, "v2@3", resp.Header.Get("x-sluice"))
	require.Empty(t, s.Server.Proxies()[0].Routes[0].Nack)
}

func TestOneRefusedRouteIsToldFromItsNeighbours(t *testing.T) {
	s := NewStage(t)
	bad := config.Key{Namespace: "ml", Name: "bad"}
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes = append(cfg.Routes, twoVersions(t, s, bad, "bad.ml").Routes...)
	cfg.Routes[1].Matches = []config.Match{{Path: &config.PathMatch{Type: config.PathExpression, Value: "/" + strings.Repeat("[a-z]{3,9}", 30)}}}
	s.Publish(cfg, map[config.Key]config.Split{
		filetype: {Epoch: 1, Shares: config.Whole("v1")},
		bad:      {Epoch: 1, Shares: config.Whole("v1")},
	})
	s.Acked(filetype, 1)
	nack := Await(s, "nack", func(ads.Nacked) bool { return true })
	require.Equal(t, bad, nack.Route)
}

func TestAKilledEnvoyIsBackAndProgrammed(t *testing.T) {
	s := NewStage(t)
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), splitOf(filetype, 1, config.Whole("v2")))
	s.Acked(filetype, 1)
	s.Forget()
	require.NoError(t, syscall.Kill(s.Minder.Status().PID, syscall.SIGKILL))
	Await(s, "disconnect", func(ads.Disconnected) bool { return true })
	s.Acked(filetype, 1)
	resp, body := s.Get("filetype.ml", "/")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "v2", body)
	require.Equal(t, 1, s.Minder.Status().Restarts)
}

func TestAProxyServesOnWithoutAControlPlaneAndIsNotToldAgainWhatItHolds(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	load := s.StartLoad("filetype.ml", 4)
	s.StopControl()
	s.Forget()
	s.StartControl(ads.Config{Notify: s.note})
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	status := s.Server.Proxies()[0].Routes[0]
	require.Equal(t, status.Sent, status.Acked, "it said that it holds the epoch; nothing was sent")
	s.Publish(cfg, splitOf(filetype, 2, config.Whole("v2")))
	s.Acked(filetype, 2)
	require.Empty(t, load.Stop())
}

func TestAStoppedEnvoyAnswersEveryRequestThatItTook(t *testing.T) {
	var served atomic.Int64
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Versions[0].Endpoints[0] = Server(t, func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "v1")
	})
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	load := s.StartLoad("filetype.ml", 2)
	load.Await(t, 100)
	s.StopEnvoy()
	for _, failure := range load.Stop() {
		require.Regexp(t, "connection (refused|reset)", failure)
	}
	require.Equal(t, load.Answered.Load(), served.Load(), "answered by the version and by Envoy")
}

// Envoy waits 15 s for endpoints after an edit of a cluster in use, and every
// later cluster with it, unless it is told of them again.
func TestAnEditedClusterHoldsUpNothing(t *testing.T) {
	s := NewStage(t, Tune{ADS: func(c *ads.Config) { c.AckTimeout = 10 * time.Second }})
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	load := s.StartLoad("filetype.ml", 2)
	for epoch := uint64(2); epoch <= 6; epoch++ {
		edited := *cfg
		route := cfg.Routes[0]
		route.Versions = slices.Clone(route.Versions)
		route.Versions[0].Health = &config.Health{Path: fmt.Sprintf("/ready-%d", epoch)}
		name := fmt.Sprintf("new-%d", epoch)
		route.Versions = append(route.Versions, config.Version{Name: name, Endpoints: []string{Model(t, name)}})
		edited.Routes = []config.InferenceRoute{route}
		s.Publish(&edited, splitOf(filetype, epoch, config.Carve("v1", name, 5000, 0)))
		s.Acked(filetype, epoch)
	}
	require.Empty(t, load.Stop())
	s.NobodyTimedOut()
}

// A client that keeps its connection is answered by a port that has closed until that has drained, and not told 404.
func TestAPortThatClosesLeavesItsConnectionsTheirRoutes(t *testing.T) {
	s := NewStage(t)
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	resp, _ := s.Get("filetype.ml", "/")
	require.Equal(t, http.StatusOK, resp.StatusCode)

	s.Publish(&config.Config{}, nil)
	s.Eventually("the old port closes", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
		if err == nil {
			_ = c.Close() // it was only to see
		}
		return err != nil
	})

	resp, body := s.Get("filetype.ml", "/")
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
}

package ads_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

const taken = "Error adding/updating listener(s) sluice-8081: cannot bind '127.0.0.1:8081': Address already in use"

// onPort gives ml/filetype on another port.
func onPort(port uint32, more ...config.InferenceRoute) *config.Config {
	cfg := filetype()
	cfg.Routes[0].Listener.Port = port
	cfg.Routes = append(cfg.Routes, more...)
	return cfg
}

// arrive brings a proxy up that listens where ml/filetype was first.
func (s *stage) arrive(cfg *config.Config, splits map[config.Key]config.Split) *proxy {
	s.t.Helper()
	s.publish(cfg, splits)
	return s.obeying("a", nil)
}

// obeying brings a proxy up that takes whatever is published, but for what it refuses.
func (s *stage) obeying(id string, refused map[string]string) *proxy {
	s.t.Helper()
	p := s.dial(id)
	for _, t := range []xds.Type{xds.TypeCluster, xds.TypeListener, xds.TypeScope} {
		p.subscribe(t)
	}
	p.obey(refused)
	return p
}

// lastTwo are what counts: what is told again in between is no harm.
func lastTwo(told []string) []string { return told[max(0, len(told)-2):] }

func TestAPortThatIsRefusedLeavesTheFormerOneServedAndUpdated(t *testing.T) {
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 6600))
		require.Equal(t, []string{"connected a", "acked ml/filetype@1 by 1"}, s.told())

		refuse := map[string]string{"sluice-8081": taken}
		s.publish(onPort(8081), split(1, 6600))
		p.obey(refuse)
		require.Equal(t, []string{"acked ml/filetype@1 by 1 where it was", "nacked ml/filetype@1 by a: " + taken}, lastTwo(s.told()), "it is served as before")
		s.pass(time.Hour)
		p.obey(refuse)
		require.Contains(t, p.holds, "Listener sluice-8080", "as long as it lasts")
		require.Empty(t, s.told())
		require.Equal(t, taken, s.server.Proxies()[0].Routes[0].Nack)

		s.publish(onPort(8081), split(2, 0))
		require.Equal(t, uint64(1), s.server.Proxies()[0].Routes[0].Acked.Epoch, "the former port has yet to hear of it")
		require.NotContains(t, s.told(), "acked ml/filetype@2 by 1")
		p.obey(refuse)
		require.Contains(t, p.bodies["filetype.ml:8080"], "ml/filetype@2", "the share is taken away where requests come in")
		require.NotContains(t, p.bodies["filetype.ml:8080"], "v2@2")
		require.Equal(t, []string{"acked ml/filetype@2 by 1 where it was", "nacked ml/filetype@2 by a: " + taken}, lastTwo(s.told()))
		require.Equal(t, uint64(2), s.server.Proxies()[0].Routes[0].Acked.Epoch)

		s.pass(30 * time.Second)
		p.obey(nil)
		require.Equal(t, []string{"acked ml/filetype@2 by 1"}, s.told(), "the port is free: it goes on by itself")
		require.NotContains(t, p.holds, "Listener sluice-8080")
		require.Contains(t, p.holds, "ScopedRouteConfiguration 8080/filetype.ml", "for connections that drain")
		s.publish(onPort(8081), split(3, 100))
		p.obey(nil)
		require.Contains(t, p.bodies["filetype.ml:8080"], "ml/filetype@3", "and those are not forgotten")
		require.Equal(t, []string{"acked ml/filetype@3 by 1"}, s.told())
		s.pass(5 * time.Second)
		p.obey(nil)
		require.NotContains(t, p.holds, "ScopedRouteConfiguration 8080/filetype.ml")
		require.NotContains(t, p.holds, "RouteConfiguration filetype.ml:8080")
		require.Empty(t, s.server.Proxies()[0].Routes[0].Nack)
	})
}

func TestAPortThatIsRefusedIsForgottenWhenTheManifestIsMended(t *testing.T) {
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 500))
		refuse := map[string]string{"sluice-8081": taken}
		s.publish(onPort(8081), split(1, 500))
		p.obey(refuse)
		s.told()
		s.publish(filetype(), split(1, 500))
		p.obey(refuse)
		require.Contains(t, s.told(), "acked ml/filetype@1 by 1", "so that nobody thinks it refused")
		require.Empty(t, s.server.Proxies()[0].Refused)
		require.Contains(t, p.holds, "Listener sluice-8080")
		s.publish(onPort(8082), split(2, 500))
		p.obey(refuse)
		require.Contains(t, s.told(), "acked ml/filetype@2 by 1")
		s.pass(time.Minute)
		p.obey(refuse)
		require.NotContains(t, p.holds, "Listener sluice-8080")
		require.Contains(t, p.holds, "Listener sluice-8082")
	})
}

func TestARouteThatCannotLeaveASharedPortIsUpdatedThere(t *testing.T) {
	story(t, func(s *stage) {
		other := route("other", "v1")
		splits := func(epoch uint64, weight uint32) map[config.Key]config.Split {
			both := split(epoch, weight)
			both[other.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
			return both
		}
		p := s.arrive(configOf(filetype().Routes[0], other), splits(1, 6600))
		s.told()
		refuse := map[string]string{"sluice-8081": taken}
		s.publish(onPort(8081, other), splits(1, 6600))
		p.obey(refuse)
		s.told()
		s.publish(onPort(8081, other), splits(2, 0))
		p.obey(refuse)
		require.Equal(t, []string{"acked ml/filetype@2 by 1 where it was", "nacked ml/filetype@2 by a: " + taken}, lastTwo(s.told()))
		require.Contains(t, p.bodies["filetype.ml:8080"], "ml/filetype@2")
		s.pass(time.Hour)
		p.obey(refuse)
		require.Contains(t, p.holds, "ScopedRouteConfiguration 8080/filetype.ml", "nobody is told 404")
		s.pass(time.Minute)
		p.obey(nil)
		s.pass(time.Minute)
		p.obey(nil)
		require.NotContains(t, p.holds, "ScopedRouteConfiguration 8080/filetype.ml")
		require.Contains(t, p.holds, "Listener sluice-8080", "the other one's")
	})
}

func TestAFormerPortThatYieldedIsForgotten(t *testing.T) {
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 500))
		refuse := map[string]string{"sluice-8081": taken}
		heir := route("other", "v1")
		splits := split(1, 500)
		splits[heir.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		s.publish(onPort(8081, heir), splits)
		p.obey(refuse)
		require.Len(t, s.kept()[key("filetype")], 1)
		heir.Hostnames = []string{"filetype.ml"}
		s.publish(onPort(8081, heir), splits)
		p.obey(refuse)
		require.Empty(t, s.kept()[key("filetype")])
		require.Contains(t, p.bodies["filetype.ml:8080"], "ml/other@1")
	})
}

func TestAProxyThatOpenedThePortDoesNotTakeItFromOneThatCannot(t *testing.T) {
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 500))
		q := s.obeying("b", nil)
		s.told()
		refuse := map[string]string{"sluice-8081": taken}
		s.publish(onPort(8081), split(2, 0))
		q.obey(refuse)
		require.Equal(t, []string{"nacked ml/filetype@2 by b: " + taken}, s.told(), "the first has not answered")
		p.obey(nil)
		require.Contains(t, s.told(), "acked ml/filetype@2 by 2 where it was")
		s.pass(time.Hour)
		p.obey(nil)
		q.obey(refuse)
		require.Contains(t, q.holds, "Listener sluice-8080")
		q.hangUp()
		s.pass(time.Minute)
		p.obey(nil)
		require.NotContains(t, p.holds, "Listener sluice-8080", "nobody needs it any more")
	})
}

func TestAProxyThatComesBackWhileAPortIsRefusedKeepsTheFormerOne(t *testing.T) {
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 500))
		p.hangUp()
		s.told()
		s.publish(onPort(8081), split(2, 0))
		s.pass(time.Hour)
		p = s.obeying("a", map[string]string{"sluice-8081": taken})
		require.Contains(t, p.holds, "Listener sluice-8080")
		require.Equal(t, []string{"acked ml/filetype@2 by 1 where it was", "nacked ml/filetype@2 by a: " + taken}, lastTwo(s.told()))
	})
}

func TestAPortThatIsNotOpenedElsewhereStaysWhereItIsAndIsUpdated(t *testing.T) {
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 6600))
		s.told()
		refuse := map[string]string{"sluice-8080": busy}
		elsewhere := filetype()
		elsewhere.Routes[0].Listener.Address = "127.0.0.2"
		s.publish(elsewhere, split(1, 6600))
		p.obey(refuse)
		s.told()
		s.publish(elsewhere, split(2, 0))
		p.obey(refuse)
		require.Equal(t, []string{"acked ml/filetype@2 by 1 where it was", "nacked ml/filetype@2 by a: " + busy}, lastTwo(s.told()))
		status := s.server.Proxies()[0].Routes[0]
		require.Equal(t, uint64(2), status.Acked.Epoch)
		require.Equal(t, busy, status.Nack)
		s.pass(30 * time.Second)
		p.obey(nil)
		require.Equal(t, []string{"acked ml/filetype@2 by 1"}, s.told())
		require.Empty(t, s.server.Proxies()[0].Routes[0].Nack)
	})
}

func TestAPortIsKnownAfterARestart(t *testing.T) {
	var ports xds.Formers
	held := map[xds.Type]map[string]string{}
	story(t, func(s *stage) {
		p := s.arrive(filetype(), split(1, 6600))
		ports, held = s.kept(), p.versions
	})
	require.Len(t, ports[key("filetype")], 1)
	storyAfter(t, ports, func(s *stage) {
		s.publish(onPort(8081), split(2, 0))
		p := s.dial("a")
		for t, versions := range held {
			p.resume(t, versions, namesIn(t, versions)...)
		}
		p.holds = map[string]bool{"Listener sluice-8080": true}
		refuse := map[string]string{"sluice-8081": taken}
		p.obey(refuse)
		s.pass(time.Hour)
		p.obey(refuse)
		require.Contains(t, p.holds, "Listener sluice-8080", "it serves on")
		require.Contains(t, p.bodies["filetype.ml:8080"], "ml/filetype@2", "and hears of the split")
		require.Equal(t, []string{"acked ml/filetype@2 by 1 where it was", "nacked ml/filetype@2 by a: " + taken}, lastTwo(s.told()))
		s.pass(time.Minute)
		p.obey(nil)
		require.NotContains(t, p.holds, "Listener sluice-8080")
		require.Equal(t, uint32(8081), s.kept()[key("filetype")][0].Listener.Port)
	})
}

// namesIn are what Envoy asks for by name.
func namesIn(t xds.Type, versions map[string]string) []string {
	if t != xds.TypeRoute && t != xds.TypeEndpoint {
		return nil
	}
	return slices.Sorted(maps.Keys(versions))
}

package ads_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

const busy = "Error adding/updating listener(s) sluice-8080: cannot bind '127.0.0.1:8080': Address already in use"

// refuseListener brings a proxy up that cannot open ml/filetype's port.
func (s *stage) refuseListener(id string) *proxy {
	s.t.Helper()
	p := s.dial(id)
	p.subscribe(xds.TypeListener)
	r := p.receive()
	// Envoy asks for scopes while it makes the listener, before it finds the port taken.
	p.subscribe(xds.TypeScope)
	p.take("ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080")
	p.nack(r, busy)
	return p
}

func TestARefusedListenerIsOfferedAgainAndOpensWhenItsPortIsFree(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.refuseListener("a")
		require.Equal(t, []string{"connected a", "nacked ml/filetype@1 by a: " + busy}, s.told())
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
			wait := time.Duration(seconds) * time.Second
			s.pass(wait - time.Millisecond)
			require.Empty(t, p.heard())
			s.pass(time.Millisecond)
			p.nack(p.receive(), busy)
			require.Empty(t, s.told(), "it was told, and nobody is waited for")
			require.Equal(t, busy, s.server.Proxies()[0].Refused[0].Text)
		}
		s.pass(30 * time.Second)
		p.take("Listener sluice-8080")
		p.take("ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080")
		require.Empty(t, s.told(), "its table is not there yet")
		p.subscribe(xds.TypeRoute, "filetype.ml:8080")
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@1 by 1"}, s.told())
		require.Empty(t, s.server.Proxies()[0].Refused)
		s.pass(time.Hour)
		require.Empty(t, p.heard())
	})
}

func TestARefusedListenerThatIsRefusedForAnotherReasonIsToldOf(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.refuseListener("a")
		s.told()
		s.pass(time.Second)
		p.nack(p.receive(), "permission denied")
		require.Equal(t, []string{"nacked ml/filetype@1 by a: permission denied"}, s.told())
	})
}

func TestARefusedListenerOfManyIsLoggedOnceAndToldToWhomItConcerns(t *testing.T) {
	story(t, func(s *stage) {
		cfg, splits := configOf(filetype().Routes[0], route("other", "v1")), split(1, 500)
		splits[key("other")] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		s.publish(cfg, splits)
		p := s.obeying("a", map[string]string{"sluice-8080": busy})
		require.Equal(t, []string{
			"connected a", "nacked ml/filetype@1 by a: " + busy, "nacked ml/other@1 by a: " + busy,
		}, s.told())
		again := split(2, 1000)
		again[key("other")] = splits[key("other")]
		s.publish(cfg, again)
		p.obey(map[string]string{"sluice-8080": busy})
		require.Equal(t, []string{"nacked ml/filetype@2 by a: " + busy}, s.told(), "the other one knows")
		require.Equal(t, 1, s.logged("a proxy refused a resource"))
		s.pass(time.Hour)
		p.obey(map[string]string{"sluice-8080": "permission denied"})
		require.Equal(t, 2, s.logged("a proxy refused a resource"))
	})
}

func TestARouteThatMovesFromARefusedListenerIsServed(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.refuseListener("a")
		s.told()
		moved := filetype()
		moved.Routes[0].Listener.Port = 8081
		s.publish(moved, split(2, 500))
		p.obey(nil)
		require.Contains(t, p.holds, "Listener sluice-8081")
		require.Contains(t, p.holds, "ScopedRouteConfiguration table/filetype.ml:8081", "Envoy does not ask for scopes twice")
		require.Contains(t, p.holds, "ScopedRouteConfiguration 8081/filetype.ml")
		require.Contains(t, s.told(), "acked ml/filetype@2 by 1")
		s.pass(time.Hour)
		p.obey(nil)
		require.NotContains(t, p.holds, "Listener sluice-8080", "nor is it offered again")
		require.Empty(t, s.server.Proxies()[0].Refused, "what is gone is not refused")
	})
}

func TestASplitIsAcknowledgedOnlyWhenItsPortIsOpen(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.dial("a")
		p.subscribe(xds.TypeListener)
		r := p.receive()
		p.subscribe(xds.TypeScope)
		p.take("ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080")
		p.subscribe(xds.TypeRoute, "filetype.ml:8080")
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"connected a"}, s.told())
		p.ack(r)
		require.Equal(t, []string{"acked ml/filetype@1 by 1"}, s.told())
	})
}

func TestAWholeListThatIsRefusedIsNotSentInALoop(t *testing.T) {
	story(t, func(s *stage) {
		elsewhere := route("other", "v1")
		elsewhere.Listener.Port = 8081
		splits := split(1, 500)
		splits[elsewhere.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		s.publish(configOf(filetype().Routes[0], elsewhere), splits)
		p := s.dialWorld(s.t.Context())
		p.ask(xds.TypeListener, "")
		require.Equal(t, "Listener sluice-8080 sluice-8081", p.answer(busy))
		require.Equal(t, []string{"connected world", "nacked ml/filetype@1 by world: " + busy}, s.told(), "it named the one")
		require.Empty(t, p.inbox)
		s.pass(time.Second)
		require.Equal(t, "Listener sluice-8080 sluice-8081", p.answer(""))
		require.Empty(t, s.server.Proxies()[0].Refused)
	})
}

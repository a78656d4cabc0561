package ads_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

func TestTheFirstConfigurationComesInEnvoysOrder(t *testing.T) {
	story(t, func(s *stage) {
		p := s.dial("a")
		p.subscribe(xds.TypeCluster)
		p.take("Cluster") // empty, so that the proxy goes on
		p.subscribe(xds.TypeListener)
		p.take("Listener")

		s.publish(filetype(), split(1, 500))
		clusters := p.receive()
		require.Len(t, clusters.GetResources(), 2)
		p.subscribe(xds.TypeEndpoint, "ml/filetype/v1", "ml/filetype/v2")
		p.take("ClusterLoadAssignment ml/filetype/v1 ml/filetype/v2")
		require.Empty(t, p.heard(), "no listener before the clusters are acknowledged")
		p.ack(clusters)
		p.take("Listener sluice-8080")
		p.subscribe(xds.TypeScope)
		p.take("ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080")
		require.Equal(t, []string{"connected a"}, s.told())
		p.subscribe(xds.TypeRoute, "filetype.ml:8080")
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@1 by 1"}, s.told())
		require.Empty(t, p.heard())
	})
}

func TestAWeightIsOneSmallResponse(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()

		s.publish(filetype(), split(2, 1000))
		r := p.take("RouteConfiguration filetype.ml:8080")
		_, resources := sizeOf(r)
		require.LessOrEqual(t, resources, 300)
		require.Equal(t, []string{"acked ml/filetype@2 by 1"}, s.told())
		require.Empty(t, p.heard())
	})
}

func TestNothingIsSaidWhereNothingChanged(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()
		s.publish(filetype(), split(1, 500))
		require.Empty(t, p.heard())
		require.Empty(t, s.told())
	})
}

func TestASlowProxyGetsOnlyTheNewest(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()
		s.publish(filetype(), split(2, 1000))
		first := p.receive()
		for epoch := uint64(3); epoch <= 9; epoch++ {
			s.publish(filetype(), split(epoch, 1000))
		}
		require.Empty(t, p.heard())
		p.ack(first)
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@9 by 1"}, s.told())
	})
}

func TestANewVersionIsMadeFirstAndTheOldOneBrokenLast(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 0))
		p := s.start("a")
		s.told()

		s.publish(configOf(route("filetype", "v2", "v3")), map[config.Key]config.Split{
			key("filetype"): {Epoch: 2, Shares: config.Whole("v3")},
		})
		clusters := p.receive()
		require.Equal(t, []string{"Cluster ml/filetype/v3"}, spell([]*discoverypb.DeltaDiscoveryResponse{clusters}))
		p.subscribe(xds.TypeEndpoint, "ml/filetype/v3")
		p.take("ClusterLoadAssignment ml/filetype/v3")
		require.Empty(t, s.told(), "the table waits")
		p.ack(clusters)
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@2 by 1"}, s.told())

		time.Sleep(4 * time.Second)
		require.Empty(t, p.heard(), "v1 drains")
		time.Sleep(time.Second)
		require.Equal(t, []string{"Cluster -ml/filetype/v1", "ClusterLoadAssignment -ml/filetype/v1"}, p.heard())
	})
}

func TestARefusalKeepsTheLastGoodAndIsReported(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()

		s.publish(filetype(), split(2, 1000))
		p.nack(p.receive(), "no such thing")
		require.Equal(t, []string{"nacked ml/filetype@2 by a: no such thing"}, s.told())
		require.Empty(t, p.heard(), "it is not sent again")
		got := s.server.Proxies()[0].Routes[0]
		require.Equal(t, []uint64{2, 2, 1}, []uint64{got.Published.Epoch, got.Sent.Epoch, got.Acked.Epoch})
		require.Equal(t, "no such thing", got.Nack)

		time.Sleep(time.Hour)
		require.Empty(t, s.told(), "a refusal is an answer: nobody is waited for")

		s.publish(filetype(), split(1, 500))
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@1 by 1"}, s.told(), "going back to the last good bytes works")
		require.Empty(t, s.server.Proxies()[0].Routes[0].Nack)
	})
}

func TestOneOfManyThatWasRefusedIsFoundByItself(t *testing.T) {
	story(t, func(s *stage) {
		bad := key("bad")
		cfg := configOf(route("filetype", "v1"), route("bad", "v1"), route("also", "v1"))
		splits := map[config.Key]config.Split{}
		for _, r := range cfg.Routes {
			splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		}
		s.publish(cfg, splits)
		p := s.dial("a")
		p.subscribe(xds.TypeRoute, "also.ml:8080", "bad.ml:8080", "filetype.ml:8080")
		s.told()
		p.nack(p.receive(), "one of you is bad")
		for _, table := range []string{"also.ml:8080", "bad.ml:8080", "filetype.ml:8080"} {
			r := p.receive()
			require.Equal(t, table, r.GetResources()[0].GetName())
			if table == "bad.ml:8080" {
				p.nack(r, "it is me")
			} else {
				p.ack(r)
			}
		}
		require.Equal(t, []string{"acked ml/also@1 by 1", "nacked ml/bad@1 by a: it is me", "acked ml/filetype@1 by 1"}, s.told())
		require.Empty(t, p.heard())
		splits[bad] = config.Split{Epoch: 2, Shares: config.Whole("v1")}
		s.publish(cfg, splits)
		p.take("RouteConfiguration bad.ml:8080")
		require.Equal(t, []string{"acked ml/bad@2 by 1"}, s.told())
	})
}

func TestAProxyThatComesBackIsToldOnlyWhatItLacks(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.publish(filetype(), split(2, 500))
		held := p.take("RouteConfiguration filetype.ml:8080").GetResources()[0]
		s.told()
		p.hangUp()
		require.Equal(t, []string{"disconnected a"}, s.told())

		same := s.dial("a")
		same.resume(xds.TypeRoute, map[string]string{held.GetName(): held.GetVersion()}, held.GetName())
		require.Empty(t, same.heard())
		require.Equal(t, []string{"connected a", "acked ml/filetype@2 by 1"}, s.told(), "what it holds counts as taken")
		same.hangUp()

		s.publish(filetype(), split(3, 0))
		require.Equal(t, []string{"disconnected a"}, s.told(), "with no proxy connected nothing is acknowledged")
		behind := s.dial("a")
		behind.resume(xds.TypeRoute, map[string]string{held.GetName(): held.GetVersion()}, held.GetName())
		behind.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"connected a", "acked ml/filetype@3 by 1"}, s.told())
	})
}

func TestAStuckProxyIsNamedAndNoLongerWaitedFor(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		a, b := s.start("a"), s.start("b")
		s.told()
		s.publish(filetype(), split(2, 1000))
		a.take("RouteConfiguration filetype.ml:8080")
		stuck := b.receive()
		require.Empty(t, s.told())
		time.Sleep(9 * time.Second)
		require.Empty(t, s.told())
		time.Sleep(time.Second)
		require.Equal(t, []string{
			"timed out ml/filetype@2: RouteConfiguration filetype.ml:8080: b",
			"acked ml/filetype@2 by 1",
		}, s.told())
		b.ack(stuck)
		require.Equal(t, []string{"acked ml/filetype@2 by 2"}, s.told(), "it has caught up")
		require.Equal(t, uint64(2), s.server.Proxies()[1].Routes[0].Acked.Epoch)
		s.publish(filetype(), split(3, 1000))
		a.take("RouteConfiguration filetype.ml:8080")
		b.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@3 by 2"}, s.told())
	})
}

func TestAPolicySaysHowLongAProxyIsWaitedFor(t *testing.T) {
	story(t, func(s *stage) {
		c := filetype()
		c.Routes[0].Strategy.Canary, c.Routes[0].Analysis.Policy = &config.Canary{}, "quick"
		c.Policies = []config.AnalysisPolicy{{Key: key("quick"), PolicySpec: config.PolicySpec{Limits: config.Limits{AckTimeout: config.Duration(2 * time.Second)}}}}
		s.publish(c, split(1, 500))
		a, b := s.start("a"), s.start("b")
		s.told()
		s.publish(c, split(2, 1000))
		a.take("RouteConfiguration filetype.ml:8080")
		b.receive()
		time.Sleep(2*time.Second - time.Nanosecond)
		require.Empty(t, s.told())
		time.Sleep(time.Nanosecond)
		require.Equal(t, []string{
			"timed out ml/filetype@2: RouteConfiguration filetype.ml:8080: b",
			"acked ml/filetype@2 by 1",
		}, s.told())
	})
}

func TestAStuckProxyThatLeavesIsNotWaitedFor(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		a, b := s.start("a"), s.start("b")
		s.told()
		s.publish(filetype(), split(2, 1000))
		a.take("RouteConfiguration filetype.ml:8080")
		b.hangUp()
		require.Equal(t, []string{"acked ml/filetype@2 by 1", "disconnected b"}, s.told())
	})
}

func TestAStuckClusterHoldsUpItsTableForTheTimeoutOnly(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 0))
		p := s.start("a")
		s.told()
		s.publish(configOf(route("filetype", "v1", "v2", "v3")), map[config.Key]config.Split{
			key("filetype"): {Epoch: 2, Shares: config.Carve("v1", "v3", 500, 0)},
		})
		require.Equal(t, []string{"Cluster ml/filetype/v3"}, p.heard())
		// Taking the share away again must not wait.
		s.publish(configOf(route("filetype", "v1", "v2", "v3")), split(3, 0))
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@3 by 1"}, s.told())
		s.publish(configOf(route("filetype", "v1", "v2", "v3")), map[config.Key]config.Split{
			key("filetype"): {Epoch: 4, Shares: config.Carve("v1", "v3", 500, 0)},
		})
		require.Empty(t, p.heard())
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"timed out ml/filetype@4: Cluster ml/filetype/v3: a"}, s.told())
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@4 by 1"}, s.told())
	})
}

func TestARefusedClusterIsToldOfItsRouteAndHoldsItsTable(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 0))
		p := s.start("a")
		s.told()
		s.publish(configOf(route("filetype", "v1", "v2", "v3")), map[config.Key]config.Split{
			key("filetype"): {Epoch: 2, Shares: config.Carve("v1", "v3", 500, 0)},
		})
		p.nack(p.receive(), "no such cluster")
		require.Equal(t, []string{"nacked ml/filetype@2 by a: no such cluster"}, s.told())
		require.Empty(t, p.heard(), "a table would only be refused as well")
		require.Equal(t, []ads.Refusal{{
			Resource: xds.Ref{Type: xds.TypeCluster, Name: "ml/filetype/v3"}, Text: "no such cluster",
		}}, s.server.Proxies()[0].Refused)
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"RouteConfiguration filetype.ml:8080"}, p.heard(), "others may have taken the cluster")
		require.Empty(t, s.told())
	})
}

func TestABadRouteKeepsWhatItHadAndHoldsUpNobody(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()
		bad := filetype()
		bad.Routes[0].Versions[0].Endpoints = []string{"nowhere"}
		bad.Routes = append(bad.Routes, route("other", "v1"))
		splits := split(2, 1000)
		splits[key("other")] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		err := s.server.Publish(bad, splits)
		var refused *xds.RouteError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, key("filetype"), refused.Route)
		p.take("Cluster ml/other/v1")
		p.take("ScopedRouteConfiguration table/other.ml:8080")
		require.Empty(t, p.heard(), "no hostname leads to a table that is not loaded")
		p.subscribe(xds.TypeRoute, "other.ml:8080")
		p.take("RouteConfiguration other.ml:8080")
		require.Empty(t, s.told(), "no hostname leads there yet")
		p.take("ScopedRouteConfiguration 8080/other.ml")
		require.Equal(t, []string{"acked ml/other@1 by 1"}, s.told())
		require.Empty(t, p.heard(), "and nothing of the bad one")
		require.Equal(t, uint64(1), s.server.Proxies()[0].Routes[0].Published.Epoch)
	})
}

func TestAnEditedClusterIsFollowedByItsEndpoints(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		edited := filetype()
		edited.Routes[0].Versions[1].Health = &config.Health{Path: "/ready"}
		s.publish(edited, split(1, 500))
		require.Equal(t, []string{"Cluster ml/filetype/v2", "ClusterLoadAssignment ml/filetype/v2"}, p.heard())
	})
}

func TestEndpointsOfAnEditedClusterComeAfterIt(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		more := filetype()
		more.Routes[0].Versions = append(more.Routes[0].Versions, route("filetype", "v3").Versions...)
		s.publish(more, split(1, 500))
		slow := p.receive() // and does not answer yet
		require.Equal(t, []string{"Cluster ml/filetype/v3"}, spell([]*discoverypb.DeltaDiscoveryResponse{slow}))
		edited := filetype()
		edited.Routes[0].Versions = slices.Clone(more.Routes[0].Versions)
		edited.Routes[0].Versions[1].Health = &config.Health{Path: "/ready"}
		s.publish(edited, split(1, 500))
		require.Empty(t, p.heard(), "its endpoints would be taken for those of the cluster before")
		p.ack(slow)
		require.Equal(t, []string{"Cluster ml/filetype/v2", "ClusterLoadAssignment ml/filetype/v2"}, p.heard())
	})
}

// withV3 is filetype with a third version.
func withV3(edit func(v3 *config.Version)) *config.Config {
	c := configOf(route("filetype", "v1", "v2", "v3"))
	edit(&c.Routes[0].Versions[2])
	return c
}

func asItIs(*config.Version) {}

func TestAClusterThatGoesAndComesBackWhileItsAnswerIsOutGetsItsEndpoints(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.publish(withV3(asItIs), split(1, 500))
		slow := p.receive() // Envoy answers when it has the endpoints
		s.publish(filetype(), split(1, 500))
		s.pass(5 * time.Second)
		require.Empty(t, p.heard())
		s.publish(withV3(func(v *config.Version) { v.Health = &config.Health{Path: "/ready"} }), split(1, 500))
		p.subscribe(xds.TypeEndpoint, "ml/filetype/v3")
		p.take("ClusterLoadAssignment ml/filetype/v3")
		p.ack(slow)
		require.Equal(t, []string{"Cluster ml/filetype/v3", "ClusterLoadAssignment ml/filetype/v3"}, p.heard(), "as it is now")
	})
}

func TestWhatComesBackAsItWasWhileAnAnswerIsOutIsAskedFor(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(withV3(asItIs), split(1, 500))
		p := s.dial("a")
		p.subscribe(xds.TypeCluster)
		p.take("Cluster ml/filetype/v1 ml/filetype/v2 ml/filetype/v3")
		s.told()
		four := func(versions ...string) *config.Config { return configOf(route("filetype", append(versions, "v4")...)) }
		s.publish(four("v1", "v2", "v3"), split(1, 500))
		slow := p.receive()
		s.publish(four("v1", "v2"), split(1, 500))
		s.pass(5 * time.Second)
		require.Empty(t, p.heard())
		s.publish(four("v1", "v2", "v3"), split(1, 500))
		p.ack(slow)
		p.take("Cluster ml/filetype/v3")
		s.pass(time.Hour)
		require.Empty(t, s.told(), "nobody is waited for who was not asked")
	})
}

func TestWhatIsAskedForAgainIsSentAgain(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()
		p.subscribe(xds.TypeEndpoint, "ml/filetype/v2") // a cluster of that name came to be once more
		p.take("ClusterLoadAssignment ml/filetype/v2")
		p.subscribe(xds.TypeRoute, "filetype.ml:8080")
		p.take("RouteConfiguration filetype.ml:8080")
		require.Empty(t, p.heard())
		s.pass(time.Hour)
		require.Equal(t, []string{"acked ml/filetype@1 by 1"}, s.told(), "and answered")
	})
}

func TestEndpointsThatAreGoneAreSaidToBe(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		p.subscribe(xds.TypeEndpoint, "ml/filetype/v3") // whose cluster it has yet
		p.take("ClusterLoadAssignment -ml/filetype/v3")
		require.Empty(t, p.heard(), "it is said once")
		s.publish(withV3(asItIs), split(1, 500))
		require.Equal(t, []string{"Cluster ml/filetype/v3", "ClusterLoadAssignment ml/filetype/v3"}, p.heard())
	})
}

// Envoy does not ask for scopes again when a listener that needs them comes or
// changes on a stream that has them.
func TestAChangedListenerIsFollowedByItsScopes(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		second := filetype()
		second.Routes[0].Listener.Address = "0.0.0.0"
		s.publish(second, split(1, 500))
		p.take("Listener sluice-8080")
		p.take("ScopedRouteConfiguration 8080/filetype.ml table/filetype.ml:8080")
		require.Empty(t, p.heard())
	})
}

func TestWhoAsksForEverythingAgainIsToldEverything(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		p.send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: string(xds.TypeCluster), ResourceNamesUnsubscribe: []string{"*"}})
		s.publish(configOf(route("filetype", "v1", "v2", "v3")), split(1, 500))
		require.Empty(t, p.heard(), "it asked for none")
		p.subscribe(xds.TypeCluster, "*")
		p.take("Cluster ml/filetype/v1 ml/filetype/v2 ml/filetype/v3")
	})
}

func TestWhatAProxyNoLongerAsksForIsNotSentToIt(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		p := s.start("a")
		s.told()
		p.send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: string(xds.TypeRoute), ResourceNamesUnsubscribe: []string{"filetype.ml:8080"}})
		s.publish(filetype(), split(2, 1000))
		require.Empty(t, p.heard())
		require.Empty(t, s.told(), "nobody has it, so nobody has taken it")
		p.subscribe(xds.TypeRoute, "filetype.ml:8080")
		p.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@2 by 1"}, s.told())
	})
}

func TestAProxyWithoutAnIDIsToldWhyItIsRefused(t *testing.T) {
	story(t, func(s *stage) {
		p := s.dial("")
		p.subscribe(xds.TypeCluster)
		<-p.gone
		require.Equal(t, codes.InvalidArgument, status.Code(p.err))
		require.ErrorContains(t, p.err, "node.id: is empty")
		require.Empty(t, s.told())
	})
}

func TestTwoStreamsUnderOneIDAreTwoProxies(t *testing.T) {
	story(t, func(s *stage) {
		s.publish(filetype(), split(1, 500))
		a, twin := s.start("a"), s.start("a")
		s.told()
		require.Len(t, s.server.Proxies(), 2)
		s.publish(filetype(), split(2, 500))
		a.take("RouteConfiguration filetype.ml:8080")
		require.Empty(t, s.told(), "both serve traffic, so both must have taken it")
		twin.take("RouteConfiguration filetype.ml:8080")
		require.Equal(t, []string{"acked ml/filetype@2 by 2"}, s.told())
	})
}

func TestATypeThatIsNotServedIsRefused(t *testing.T) {
	story(t, func(s *stage) {
		p := s.dial("a")
		p.subscribe("type.googleapis.com/envoy.service.runtime.v3.Runtime")
		<-p.gone
		require.Equal(t, codes.InvalidArgument, status.Code(p.err))
	})
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	_, err := ads.New(ads.Config{AckTimeout: -1})
	require.Error(t, err)
}

func TestRunEndsWithoutProxies(t *testing.T) {
	story(t, func(*stage) { synctest.Wait() })
}

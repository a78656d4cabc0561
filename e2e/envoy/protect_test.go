package envoy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// protected makes v2 the target of a canary that v1 covers.
func protected(cfg *config.Config, budget config.Percent) *config.RouteSpec {
	spec := &cfg.Routes[0].RouteSpec
	spec.Target, spec.InitialStable = "v2", "v1"
	spec.Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: 250_000}}}
	spec.Protect.RetryOnStable = &config.RetryOnStable{On: []config.Failure{config.FailureConnect, config.Failure5xx}, Budget: budget}
	return spec
}

// asked counts answers: "200 v1@5" and "503 v2@5".
func (s *Stage) asked(requests int, path string) map[string]int {
	s.t.Helper()
	counts := map[string]int{}
	for range requests {
		resp, _ := s.Get("filetype.ml", path)
		counts[resp.Status[:4]+resp.Header.Get("x-sluice")]++
	}
	return counts
}

// spared is a stage on which v2 has a share and v1 covers it, with what the log
// server of the product makes of it.
func spared(t *testing.T, budget config.Percent, shares []config.Share, tune func(*config.RouteSpec)) (*Stage, *logLedger) {
	s := NewStage(t)
	ledger := newLogLedger(filetype)
	s.tell(ledger)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	for i, name := range []string{"v1", "v2"} {
		cfg.Routes[0].Versions[i].Endpoints = []string{Server(t, misbehave(name))}
	}
	spec := protected(cfg, budget)
	if tune != nil {
		tune(spec)
	}
	s.Publish(cfg, splitOf(filetype, 5, shares))
	s.Acked(filetype, 5)
	return s, ledger
}

// awaitTold waits until so many attempts were told of.
func (l *logLedger) awaitTold(t *testing.T, want int) {
	t.Helper()
	l.await(t, "an entry of every attempt", func() bool { return total(l.told) >= want })
}

func TestAFailingCandidateIsCoveredAndItsFailuresCount(t *testing.T) {
	s, ledger := spared(t, config.PerMillion, config.Carve("v1", "v2", 2500, 9000), nil)
	const requests = 400
	served := s.asked(requests, "/?v2=503")
	require.Equal(t, map[string]int{"200 v1@5": requests}, served)
	ledger.await(t, "every first attempt", func() bool {
		first := 0
		for what, n := range ledger.told {
			if what.attempt == 1 {
				first += n
			}
		}
		return first == requests
	})
	failed := ledger.told[told{"v2", 1, false, analysis.Failed, true}]
	require.InDelta(t, 0.25, float64(failed)/requests, 0.1)
	ledger.awaitTold(t, requests+failed)
	require.Equal(t, lines(map[told]int{
		{"v1", 1, false, analysis.Succeeded, true}: requests - failed,
		{"v2", 1, false, analysis.Failed, true}:    failed,
		{"v1", 2, false, analysis.Succeeded, true}: failed,
	}), lines(ledger.told))
}

func TestOnlySoMuchIsCoveredAsTheBudgetAllows(t *testing.T) {
	s, ledger := spared(t, 100_000, config.Carve("v1", "v2", 5000, 9000), nil)
	const requests = 1000
	served := s.asked(requests, "/?v2=503")
	require.Equal(t, requests, served["200 v1@5"]+served["503 v2@5"])
	require.InDelta(t, 0.4, float64(served["503 v2@5"])/requests, 0.07)
	ledger.await(t, "retries", func() bool {
		return ledger.told[told{"v2", 1, false, analysis.Failed, true}] == served["503 v2@5"]+ledger.told[told{"v1", 2, false, analysis.Succeeded, true}]
	})
}

func TestAFailingStableNeverSpillsOntoTheCandidate(t *testing.T) {
	s, ledger := spared(t, config.PerMillion, config.Carve("v1", "v2", 2500, 0), nil)
	const requests = 200
	served := s.asked(requests, "/?v1=503")
	require.Equal(t, requests, served["200 v2@5"]+served["503 v1@5"])
	ledger.awaitTold(t, requests)
	require.Equal(t, lines(map[told]int{
		{"v1", 1, false, analysis.Failed, true}:    served["503 v1@5"],
		{"v2", 1, false, analysis.Succeeded, true}: served["200 v2@5"],
	}), lines(ledger.told), "nor is it tried again on itself")
}

// A candidate with no healthy endpoint is stood in for, and its evidence says that
// it failed: the same as without protection.
func TestACandidateWithoutAnEndpointIsStoodInFor(t *testing.T) {
	for name, endpoints := range map[string]func(t *testing.T) []string{
		"none":       func(*testing.T) []string { return nil },
		"a dead one": func(t *testing.T) []string { return []string{deadAddress(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			s, ledger := spared(t, config.PerMillion, config.Carve("v1", "v2", 5000, 0), func(spec *config.RouteSpec) {
				spec.Versions[1].Endpoints = endpoints(t)
			})
			const requests = 200
			require.Equal(t, map[string]int{"200 v1@5": requests}, s.asked(requests, "/"))
			ledger.await(t, "every request", func() bool {
				return ledger.told[told{"v1", 1, false, analysis.Succeeded, true}]+ledger.told[told{"v2", 0, false, analysis.Failed, false}] >= requests
			})
			missed := ledger.told[told{"v2", 0, false, analysis.Failed, false}]
			require.InDelta(t, 0.5, float64(missed)/requests, 0.15)
			require.Equal(t, missed, ledger.told[told{"v1", 2, false, analysis.Succeeded, true}])
			require.Equal(t, map[uint64]int{5: requests + missed}, ledger.epochs)
		})
	}
}

// One healthy endpoint of three is enough: nothing of the candidate's goes to stable.
func TestACandidateThatHasLostEndpointsKeepsItsRequests(t *testing.T) {
	s, ledger := spared(t, config.PerMillion, config.Carve("v1", "v2", 5000, 0), func(spec *config.RouteSpec) {
		spec.Versions[1].Endpoints = append(spec.Versions[1].Endpoints, deadAddress(t), deadAddress(t))
	})
	const requests = 300
	served := s.asked(requests, "/")
	require.Equal(t, requests, served["200 v1@5"]+served["200 v2@5"])
	ledger.awaitTold(t, requests)
	require.Equal(t, lines(map[told]int{
		{"v1", 1, false, analysis.Succeeded, true}: served["200 v1@5"],
		{"v2", 1, false, analysis.Succeeded, true}: served["200 v2@5"],
	}), lines(ledger.told))
	require.InDelta(t, 0.5, float64(served["200 v2@5"])/requests, 0.15)
}

// Units are divided alike with cover and without it, so a rollout moves nobody when
// the cover comes and goes.
func TestUnitsStayWhenACandidateIsCovered(t *testing.T) {
	ask := func(protect bool) (c cohort) {
		s := NewStage(t)
		cfg := twoVersions(t, s, filetype, "filetype.ml")
		cfg.Routes[0].Stickiness = &config.Stickiness{Header: "x-user-id"}
		if protect {
			protected(cfg, 100_000)
		}
		s.Publish(cfg, splitOf(filetype, 1, config.Carve("v1", "v2", 2500, 9000)))
		s.Acked(filetype, 1)
		return s.askUnits(byHeader())
	}
	require.Equal(t, ask(false), ask(true))
}

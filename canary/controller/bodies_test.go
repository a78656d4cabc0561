package controller_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// labelled is an inference route whose shadow's answers are compared by their bodies.
func labelled() *config.Config {
	most := config.Percent(10_000)
	policy := config.AnalysisPolicy{Key: config.Key{Namespace: "ml", Name: "labels"}, PolicySpec: config.Standard()}
	policy.Metrics = []config.Metric{{
		Name: config.MetricAnswers, Weight: 1, SLO: &config.SLO{Max: &most},
		Compare: &config.Compare{By: config.CompareLabel, Field: "label", Within: config.Duration(time.Second)},
	}}
	route := config.InferenceRoute{Key: a()}
	route.Versions = []config.Version{{Name: "v1", Endpoints: []string{"a:1"}}, {Name: "v2", Endpoints: []string{"b:1"}}}
	route.Mirroring, route.Analysis.Policy, route.Strategy = config.MirroringAllowed, "labels", shadowStrategy()
	return &config.Config{Routes: []config.InferenceRoute{route}, Policies: []config.AnalysisPolicy{policy}}
}

func TestAManagerReadsAnswersToCopies(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		copyOf := func(version string, i int) analysis.Copy {
			return analysis.Copy{
				Route: a(), Version: version, Epoch: p.split(a()).Epoch, ID: fmt.Sprint(i),
				Status: 200, Body: []byte(`{"label":"cat"}`),
			}
		}
		m.Connected("envoy-1")
		m.Copied(copyOf("v1", 0)) // of a route that nobody knows
		require.NoError(t, m.Configure(t.Context(), labelled()))
		require.Equal(t, config.Share{Version: "v1", Weight: config.WholeSplit}, p.split(a()).Repeat, "stable is sent copies, too")
		m.Acked(a(), canary.Acked{At: time.Now(), Epoch: p.split(a()).Epoch, Proxies: 1})
		time.Sleep(time.Second)
		for i := range 100 {
			m.Copied(copyOf("v1", i))
			m.Copied(copyOf("v2", i))
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		s, _ := m.Snapshot(a())
		require.NotNil(t, s.Assessment)
		require.EqualValues(t, 100, s.Assessment.Answers.Pairs, s.Assessment.Answers.Reason)
		require.Zero(t, s.Assessment.Answers.Differ)
	})
}

// A Controller that is behind holds nobody back who brings it bodies.
func TestAnswersToCopiesWaitForNobody(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		require.NoError(t, m.Configure(t.Context(), labelled()))
		time.Sleep(time.Second)
		epoch := p.split(a()).Epoch
		p.mu.Lock()
		p.slow = make(chan struct{})
		p.mu.Unlock()
		_, err := m.Do(t.Context(), a(), canary.Held{At: time.Now(), By: alice("lunch")})
		require.ErrorIs(t, err, controller.ErrBusy, "its store hangs")
		began := time.Now()
		for i := range 10_000 {
			m.Copied(analysis.Copy{Route: a(), Version: "v1", Epoch: epoch, ID: fmt.Sprint(i), Status: 200, Body: []byte(`{"label":"cat"}`)})
		}
		require.Zero(t, time.Since(began))
		close(p.slow)
	})
}

package forecast_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/forecast"
	"github.com/sluice-dev/sluice/config"
)

func TestWhatAWorldLacksIsLeftOutAndSaid(t *testing.T) {
	c := brief()
	c.Trials, c.PerEffect = 2, 1
	c.Policy.Metrics = append(c.Policy.Metrics, config.Metric{
		Name: "own", Weight: 1, Prometheus: &config.Prometheus{URL: "http://p:9090", Value: "v"},
		VersusStable: &config.VersusStable{RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5}},
	}, config.Metric{
		Name: config.MetricAnswers, Weight: 1, Compare: &config.Compare{By: config.CompareStatus},
		VersusStable: &config.VersusStable{RollbackIf: 1, PromoteIf: config.Below{Ratio: 2}},
	}, config.Metric{
		Name: config.MetricTTFB, Weight: 1, Quantiles: []config.Quantile{.5},
		VersusStable: &config.VersusStable{RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5}},
	}, config.Metric{
		Name: config.MetricTPOT, Weight: 1, Quantiles: []config.Quantile{.5},
		VersusStable: &config.VersusStable{RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5}},
	})
	f, err := forecast.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 2, f.Healthy.Promoted, f.Healthy.Reasons)
	require.Contains(t, f.Advice[0], "own comes from Prometheus and is left out")
	require.Contains(t, f.Advice[1], "answers are left out")
	for _, s := range f.Smallest {
		require.Contains(t, []string{"errors", "latency"}, s.Metric)
	}
}

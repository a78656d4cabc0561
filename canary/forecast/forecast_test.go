package forecast_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/forecast"
	"github.com/sluice-dev/sluice/config"
)

// brief is a forecast that takes about a second.
func brief() forecast.Config {
	p := config.Standard()
	p.Limits.MinStep = config.Duration(10 * time.Second)
	p.Limits.MaxDuration = config.Duration(5 * time.Minute)
	p.Limits.MinRequestsPerStep = 50
	p.Warmup.PerPod = config.Duration(2 * time.Second)
	p.Unit.Block = config.Duration(2 * time.Second)
	return forecast.Config{
		Policy: p, Mirroring: config.MirroringAllowed, Rate: 50, Errors: 0.001,
		Steps:  []config.Step{{Weight: 100_000}, {Weight: 500_000, For: config.Duration(20 * time.Second)}},
		Trials: 8, PerEffect: 4,
	}
}

func TestAForecastAnswersWhatAPolicyWillDo(t *testing.T) {
	c := brief()
	var last, of int
	c.Progress = func(done, all int) { last, of = done, all }
	f, err := forecast.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, of, last)

	require.Equal(t, 8, f.Healthy.Promoted, f.Healthy.Reasons)
	require.Greater(t, float64(f.Healthy.Promotion), 30.0)
	require.Zero(t, f.Healthy.FalseRollback.Value)
	require.Greater(t, f.Healthy.FalseRollback.High, 0.2, "8 trials prove little")

	require.Len(t, f.Steps, 2)
	require.Equal(t, "10%", f.Steps[0].Weight)
	require.InDelta(t, 10, float64(f.Steps[0].Least), 0, "50 requests at 5/s")
	require.InDelta(t, 20, float64(f.Steps[1].Least), 0)
	for _, s := range f.Steps {
		require.GreaterOrEqual(t, s.Likely, s.Least-1)
		require.Equal(t, 8, s.Left)
		require.NotEmpty(t, s.Bottleneck)
	}

	var dead, equal *forecast.Effect
	for i, e := range f.Effects {
		if e.Metric == "errors" && e.Size == 1 {
			dead = &f.Effects[i]
		}
		if e.Metric == "errors" && e.Size == 0.002 {
			equal = &f.Effects[i]
		}
	}
	require.NotNil(t, dead)
	require.Equal(t, 4, dead.Caught)
	require.Equal(t, 1, dead.Step)
	require.Less(t, float64(dead.After), 5.0)
	require.NotNil(t, equal, "twice stable's rate is on the ladder")
	require.Less(t, equal.Caught, 4)

	require.Len(t, f.Smallest, 2)
	require.Equal(t, "errors", f.Smallest[0].Metric)
	require.Greater(t, f.Smallest[0].Size, 0.002)
	require.Less(t, f.Smallest[0].Size, 0.5)
	require.NotEmpty(t, f.Advice)
}

func TestEqualConfigsGiveEqualForecasts(t *testing.T) {
	c := brief()
	c.Trials = 4
	text := func() string {
		f, err := forecast.Healthy(t.Context(), c)
		require.NoError(t, err)
		data, err := json.Marshal(f)
		require.NoError(t, err)
		return string(data)
	}
	first := text()
	require.Equal(t, first, text())
}

func TestBusyPodsAreNotOverloaded(t *testing.T) {
	c := brief()
	c.Trials, c.Busy, c.Rate = 4, 0.6, 100
	f, err := forecast.Healthy(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 4, f.Healthy.Promoted, f.Healthy.Reasons)
}

// A unit counts once: ten requests of each are worth a tenth of as many units.
func TestStickyUnitsTakeLongerTheMoreRequestsEachSends(t *testing.T) {
	took := func(perUnit float64) forecast.Healthily {
		c := brief()
		c.Trials, c.Rate, c.PerUnit = 4, 100, perUnit
		c.Policy.Limits.MaxDuration = config.Duration(30 * time.Minute)
		f, err := forecast.Healthy(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, 4, f.Healthy.Promoted, f.Healthy.Reasons)
		return f.Healthy
	}
	each, ten := took(1), took(20)
	require.Greater(t, float64(ten.Promotion), 1.5*float64(each.Promotion))
}

func TestAUnitThatSendsNothingIsRefused(t *testing.T) {
	c := brief()
	c.PerUnit = 0.5
	_, err := forecast.Healthy(t.Context(), c)
	require.EqualError(t, err, "requests-per-unit: is not from 1 to 1000, found 0.5")
}

func TestWithoutTrafficNothingIsPromoted(t *testing.T) {
	c := brief()
	c.Trials, c.Rate = 2, 0.05
	f, err := forecast.Healthy(t.Context(), c)
	require.NoError(t, err)
	require.Zero(t, f.Healthy.Promoted)
	require.Equal(t, 2, f.Healthy.Held)
	require.NotEmpty(t, f.Healthy.Reasons)
	for _, reason := range f.Healthy.Reasons {
		require.Regexp(t, `^at step 1 of 2 after 5m: step 1 of 2 has seen \d of at least 50 requests`, reason)
	}
	require.Equal(t, "Requests", f.Healthy.Bottleneck)
}

func TestEverythingOutOfBoundsIsNamedAtOnce(t *testing.T) {
	c := forecast.Config{Rate: -1, Errors: 2, StablePods: -1, Busy: 3, Trials: -1}
	_, err := forecast.Run(t.Context(), c)
	for _, fact := range []string{"rps: ", "base-errors: ", "pods: ", "busy: ", "trials: "} {
		require.ErrorContains(t, err, fact)
	}
}

func TestAForecastEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := forecast.Run(ctx, brief())
	require.ErrorIs(t, err, context.Canceled)
}

func TestAPlanNeedsNoTraffic(t *testing.T) {
	c := brief()
	steps := forecast.Plan(c.Policy, c.Steps, 0)
	require.Len(t, steps, 2)
	require.InDelta(t, 20, float64(steps[1].Least), 0)
	require.Zero(t, steps[1].Likely)
	steps = forecast.Plan(c.Policy, c.Steps, 10)
	require.InDelta(t, 50, float64(steps[0].Least), 0, "50 requests at 1/s")
}

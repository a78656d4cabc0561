package canary_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

func TestARolloutSaysWhatItKeepsOfAnOlderConfiguration(t *testing.T) {
	const keeps = "rollout v2-1 keeps what it began with, and the next one takes what is written now: "
	minute := config.Duration(time.Minute)
	for _, tt := range []struct {
		name   string
		change func(r *canary.Rollout, route *config.RouteSpec, policy *config.PolicySpec)
		want   string
	}{
		{"nothing was edited", func(*canary.Rollout, *config.RouteSpec, *config.PolicySpec) {}, ""},
		{"what it does not copy was", func(_ *canary.Rollout, route *config.RouteSpec, _ *config.PolicySpec) {
			route.Versions = append(route.Versions, config.Version{Name: "v9"})
			route.Strategy.Canary.RollbackWindow.Versions = 3
		}, ""},
		{"a step", func(_ *canary.Rollout, route *config.RouteSpec, _ *config.PolicySpec) {
			route.Strategy.Canary.Steps[1].Weight = 250_000
		}, keeps + "steps[1].weight 50% (written: 25%)"},
		{"one step fewer, and a longer bake", func(_ *canary.Rollout, route *config.RouteSpec, _ *config.PolicySpec) {
			route.Strategy.Canary.Steps, route.Strategy.Canary.Bake = route.Strategy.Canary.Steps[:1], 2*minute
		}, keeps + "bake 1m (written: 2m), steps[1].weight 50% (not written)"},
		{"one step more", func(_ *canary.Rollout, route *config.RouteSpec, _ *config.PolicySpec) {
			route.Strategy.Canary.Steps = append(route.Strategy.Canary.Steps, config.Step{Weight: 900_000})
		}, keeps + "no steps[2].weight (written: 90%)"},
		{"a limit of the policy", func(_ *canary.Rollout, _ *config.RouteSpec, policy *config.PolicySpec) {
			policy.Limits.MinRequestsPerStep = 1_000_000
		}, keeps + "policy.limits.minRequestsPerStep 300 (written: 1000000)"},
		{"mirroring is allowed later", func(r *canary.Rollout, _ *config.RouteSpec, _ *config.PolicySpec) {
			r.Mirroring = config.MirroringForbidden
		}, keeps + "mirroring Forbidden (written: Allowed)"},
		{"more than are named", func(_ *canary.Rollout, route *config.RouteSpec, policy *config.PolicySpec) {
			route.Strategy.Canary.Bake = 0
			policy.Limits.MinStep, policy.Limits.MaxBlind, policy.Limits.AckTimeout = 7*minute, 7*minute, 7*minute
			policy.Limits.MaxDuration, policy.Limits.ProgressDeadline = 9*minute, 9*minute
		}, keeps + "bake 1m (written: 0s), policy.limits.ackTimeout 10s (written: 7m), policy.limits.maxBlind 2m (written: 7m), " +
			"policy.limits.maxDuration 45m (written: 9m), and 2 more"},
		{"a former stable comes back, with no steps", func(r *canary.Rollout, route *config.RouteSpec, _ *config.PolicySpec) {
			r.Direct, route.Strategy.Canary.Bake = true, 2*minute
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			steps := []config.Step{{Weight: 50_000}, {Weight: 500_000}}
			route := config.RouteSpec{Mirroring: config.MirroringAllowed, Strategy: config.Strategy{Canary: &config.Canary{Steps: slices.Clone(steps), Bake: minute}}}
			r := canary.Rollout{ID: "v2-1", Steps: steps, Bake: minute, Mirroring: config.MirroringAllowed, Policy: config.Standard()}
			s := canary.State{Policy: config.Standard(), Rollout: &r}
			tt.change(&r, &route, &s.Policy)
			require.Equal(t, tt.want, s.Kept(route))
		})
	}
	require.Empty(t, canary.State{}.Kept(config.RouteSpec{}), "no rollout runs")
}

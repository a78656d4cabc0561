package world_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

func trial(t *testing.T, change func(*world.TrialSpec)) (*world.Trial, world.Result) {
	t.Helper()
	spec := world.TrialSpec{World: plain(), Key: config.Key{Namespace: "ml", Name: "m"}, Policy: config.Standard()}
	spec.World.Network.LoadEvery = time.Second
	spec.Route = config.RouteSpec{
		Versions: []config.Version{
			{Name: "v1", Endpoints: []string{"10.0.0.1:1", "10.0.0.2:1"}},
			{Name: "v2", Endpoints: []string{"10.0.0.3:1", "10.0.0.4:1"}},
		},
		InitialStable: "v1", Target: "v2", Mirroring: config.MirroringAllowed,
		Strategy: config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Weight: 50_000}, {Weight: 500_000}}}},
	}
	change(&spec)
	trial, err := world.NewTrial(spec)
	require.NoError(t, err)
	return trial, trial.Run(40 * time.Minute)
}

func TestATrialOf(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*world.TrialSpec)
		outcome canary.Outcome
		phase   canary.Phase
	}{
		{"a healthy version promotes it", func(*world.TrialSpec) {}, canary.OutcomePromoted, canary.Stepping},
		{"a broken version rolls it back", func(s *world.TrialSpec) {
			s.World.Candidate.Faults = []world.Fault{{Errors: 1}}
		}, canary.OutcomeRolledBack, canary.Tripped},
		{"a slow version rolls it back", func(s *world.TrialSpec) {
			s.World.Candidate.Faults = []world.Fault{{Slowdown: 2}}
		}, canary.OutcomeRolledBack, canary.Tripped},
		{"a version that breaks later rolls it back", func(s *world.TrialSpec) {
			s.World.Candidate.Faults = []world.Fault{{After: time.Minute, Errors: 0.3}}
		}, canary.OutcomeRolledBack, canary.Tripped},
		{"a broken version without mirroring leaves it to a person", func(s *world.TrialSpec) {
			s.World.Candidate.Faults = []world.Fault{{Errors: 1}}
			s.Route.Mirroring = config.MirroringForbidden
		}, "", canary.Tripped},
		{"a healthy version whose acks are lost promotes it all the same", func(s *world.TrialSpec) {
			s.World.Proxies, s.World.Network.LostAcks = 4, 0.5
		}, canary.OutcomePromoted, canary.Stepping},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial, r := trial(t, test.change)
			for _, d := range trial.Decisions {
				t.Log(d.At.Format("04:05.000"), d.Event, d.Text)
			}
			assert.Equal(t, test.outcome, r.Outcome, r.Reason)
			assert.Equal(t, test.phase, r.Phase)
			again, err := canary.Replay(trial.Decisions)
			require.NoError(t, err)
			assert.Equal(t, trial.Decisions, again)
		})
	}
}

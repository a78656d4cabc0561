package canary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// "Rolled back" means that every proxy said so; one that is no longer waited for did not.
func TestARollbackNamesTheProxiesThatHaveNotHeardOfIt(t *testing.T) {
	route := config.RouteSpec{
		Versions: []config.Version{{Name: "v1"}, {Name: "v2"}}, InitialStable: "v1", Target: "v2",
		Strategy: config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Weight: 50_000}}}},
	}
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	state := canary.State{Route: config.Key{Namespace: "ml", Name: "filetype"}}
	for _, ev := range []canary.Event{
		canary.Configured{At: at, Route: route, Policy: config.Standard()},
		canary.Resized{At: at, Version: "v2", Ready: 1, Total: 1},
		canary.Tick{At: at.Add(time.Second)},
		canary.Aborted{At: at.Add(time.Minute), By: canary.By{Actor: "alice", Reason: "wrong model"}},
	} {
		state, _ = canary.Step(route, state, ev)
	}
	said := func() string {
		for _, c := range canary.Conditions(state, analysis.Assessment{}, at) {
			if c.Type == canary.RolledBack {
				return c.Message
			}
		}
		return ""
	}
	require.Contains(t, said(), "not yet confirmed")
	ack := canary.Acked{At: at.Add(70 * time.Second), Epoch: state.Published.Epoch, Proxies: 1, Stuck: []string{"deaf"}}
	state, _ = canary.Step(route, state, ack)
	require.Contains(t, said(), "confirmed by every connected proxy after 10s, but for deaf: no longer waited for")
	ack.At, ack.Proxies, ack.Stuck = at.Add(80*time.Second), 2, nil
	state, _ = canary.Step(route, state, ack)
	require.Contains(t, said(), "confirmed by every connected proxy after 10s)", "it has caught up")
}

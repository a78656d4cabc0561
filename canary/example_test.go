package canary_test

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// A new target begins a rollout. Its share grows when an endpoint is ready, and
// the state is saved before the split is published.
func ExampleStep() {
	route := config.RouteSpec{
		Versions:      []config.Version{{Name: "v1"}, {Name: "v2"}},
		InitialStable: "v1",
		Target:        "v2",
		Strategy:      config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Weight: 50_000}}}},
	}
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	state := canary.State{Route: config.Key{Namespace: "ml", Name: "filetype"}}
	for _, ev := range []canary.Event{
		canary.Configured{At: at, Route: route, Policy: config.Standard()},
		canary.Resized{At: at, Version: "v2", Ready: 1, Total: 1},
		canary.Tick{At: at.Add(time.Second)},
		canary.Aborted{At: at.Add(time.Minute), By: canary.By{Actor: "alice", Reason: "wrong model"}},
	} {
		var effects []canary.Effect
		state, effects = canary.Step(route, state, ev)
		fmt.Printf("%s: %s, v2 at %d\n", ev.Kind(), state.Phase(), state.Published.Weight("v2"))
		for _, e := range effects {
			switch e := e.(type) {
			case canary.Save:
				fmt.Println("  save")
			case canary.Publish:
				fmt.Println("  publish epoch", e.Split.Epoch)
			}
		}
	}
	// Output:
	// Configured: Waiting, v2 at 0
	//   save
	//   publish epoch 1
	// Resized: Waiting, v2 at 0
	//   save
	// Tick: Stepping, v2 at 500
	//   save
	//   publish epoch 2
	// Aborted: Idle, v2 at 0
	//   publish epoch 3
	//   save
}

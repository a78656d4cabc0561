package main

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// short lists a few experiments of each kind, and how many runs tell enough.
func short(t *testing.T) map[string]experiment {
	t.Helper()
	picked := map[string]experiment{}
	for _, what := range []string{
		"errors 0.1% to 5% at 5%, tolerance 1x, alpha .01",
		"errors 0.1% to 1% at 50%, tolerance 1x, alpha .01",
		"limit 1%, true 5%, alpha .01",
		"stratified e-process with restarts, alpha .05, drifting",
		"1 of 20 pods 1.5x as slow, 0.6 busy, tolerance 1.10, blocks of 10s, alpha .01",
		"requests, 3 nats a block: errors .1% to 1%, 1 pod of 20, alpha .01",
		"errors .1% to 1% after 20 good minutes, at 50%, alpha .01",
		"errors 1% at 50%, margin 2x",
		"limit 1%, true 0.1%",
		"errors .5% to 5% at 5%, alpha .01: candidate requests",
	} {
		for _, e := range experiments() {
			if e.what == what {
				picked[what] = e
			}
		}
		require.Contains(t, picked, what)
	}
	return picked
}

// Fixed seeds: these figures come out the same everywhere. A tenth of the runs gives
// wide intervals, so a figure may lie half as far off again as `make calibrate` takes.
func TestTheEngineKeepsItsTables(t *testing.T) {
	t.Parallel()
	for what, e := range short(t) {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, f := range few(e, runsOf(e)).run(ours, silent) {
				t.Log(f)
				require.False(t, f.broken(), "%s", f)
				if !math.IsNaN(f.published) && e.unit != "" {
					assert.InDelta(t, math.Log(f.published), math.Log(f.measured), math.Log(1.6), "%s", f)
				}
			}
		})
	}
}

func silent() {}

func few(e experiment, runs int) experiment {
	e.runs = runs
	return e
}

func runsOf(e experiment) int {
	if e.unit == "s" {
		return 15
	}
	return 60
}

// The same gate, with the mistake that the engine exists to avoid in its place.
func TestThePooledStatisticRaisesTheAlarm(t *testing.T) {
	e := short(t)["stratified e-process with restarts, alpha .05, drifting"]
	figures := few(e, 20).run(poolers, silent)
	require.Len(t, figures, 1)
	t.Log(figures[0])
	require.True(t, figures[0].broken(), "%s", figures[0])
	require.Contains(t, figures[0].String(), "BROKEN")
	for _, f := range few(e, 20).run(ours, silent) {
		require.False(t, f.broken(), "%s", f)
	}
}

func TestTheCommandPrintsATable(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, calibrate(&out, io.Discard, sample{scale: 0.05}, "H3", "candidate requests"))
	require.Contains(t, out.String(), "| H3 |")
	require.NotContains(t, out.String(), "| T1 |")
	require.NotContains(t, out.String(), "1 pod of 20")
	require.Equal(t, strings.Count(out.String(), "\n"), strings.Count(out.String(), " |\n")+strings.Count(out.String(), "|---|\n"))
}

func TestEveryPublishedTableIsMeasured(t *testing.T) {
	tables := map[string]int{}
	names := map[string]bool{}
	for _, e := range experiments() {
		tables[e.table]++
		require.False(t, names[e.table+e.what], "%s twice", e.what)
		names[e.table+e.what] = true
	}
	for _, table := range []string{"T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "H2", "H3"} {
		require.Positive(t, tables[table], table)
	}
}

func TestIntervalsHoldWhatTheyAreOf(t *testing.T) {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(i)
	}
	at, low, high := quantile(values, 0.9)
	require.InDelta(t, 900, at, 0)
	require.InDelta(t, 881, low, 1)
	require.InDelta(t, 918, high, 1)
}

package main

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
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
			for _, f := range briefly(e, runsOf(e)).run(ours, silent) {
				t.Log(f)
				require.False(t, f.broken() || f.unexplained(), "%s", f)
				if !math.IsNaN(f.published) && e.unit != "" {
					assert.InDelta(t, math.Log(f.published), math.Log(f.measured), math.Log(1.6), "%s", f)
				}
			}
		})
	}
}

func silent() {}

func briefly(e experiment, runs int) experiment {
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
	figures := briefly(e, 20).run(poolers, silent)
	require.Len(t, figures, 1)
	t.Log(figures[0])
	require.True(t, figures[0].broken(), "%s", figures[0])
	require.Contains(t, figures[0].String(), "BROKEN")
	for _, f := range briefly(e, 20).run(ours, silent) {
		require.False(t, f.broken(), "%s", f)
	}
}

// wrong is the engine with a mistake: its evidence of harm counts for more or less than
// it is.
type wrong struct {
	engine

	counts float64
}

func (w wrong) harm() float64 { return w.counts * w.engine.harm() }

// An explanation has a size: an engine that is too quick or too slow is not explained by
// what explains a fifth, and the command says so by its exit.
func TestAWrongEngineIsNotExplained(t *testing.T) {
	for name, counts := range map[string]float64{"three times as sure as it may be": 3, "half as sure as it could be": 0.5} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			mistaken := func(p config.PolicySpec) engine { return wrong{ours(p), counts} }
			err := calibrate(&out, io.Discard, sample{scale: 0.25}, selection{"T1", "limit 1%, true 2%"}, mistaken)
			require.ErrorContains(t, err, "further off than their deviations allow: limit 1%, true 2%, alpha .01")
			require.Contains(t, out.String(), "UNEXPLAINED: the engine gives 4/5")
		})
	}
	require.NoError(t, calibrate(io.Discard, io.Discard, sample{scale: 0.25}, selection{"T1", "limit 1%, true 2%"}, ours))
}

func TestAFigureIsExplainedWithinItsDeviationAlone(t *testing.T) {
	of := func(measured float64, off deviation) string {
		return figure{want: want{published: 100, off: off}, unit: "s", measured: measured, low: measured - 2, high: measured + 2}.standing()
	}
	require.Equal(t, "within", of(102, deviation{}))
	require.Equal(t, "UNEXPLAINED: nothing allows for it", of(110, deviation{}))
	blocks := deviation{"blocks are long", .8, 1.2, 10}
	require.Equal(t, "above: blocks are long (70 s to 130 s allowed)", of(130, blocks))
	require.Equal(t, "below: blocks are long (70 s to 130 s allowed)", of(70, blocks))
	require.Contains(t, of(134, blocks), "UNEXPLAINED: ")
	require.Contains(t, of(66, blocks), "UNEXPLAINED: ")
}

func TestWhatIsLeftOutSaysWhy(t *testing.T) {
	measured := map[string]bool{}
	for _, e := range experiments() {
		measured[e.table] = true
		for _, w := range e.want {
			require.False(t, w.off.why != "" && w.off.from <= 0, "%s: bounds nothing", e.what)
		}
	}
	for _, l := range leftOuts() {
		require.True(t, measured[l.table], l.what)
		require.NotEmpty(t, l.why, l.what)
		require.NotEmpty(t, l.published, l.what)
	}
	var out bytes.Buffer
	require.NoError(t, calibrate(&out, io.Discard, sample{scale: 0.05}, selection{"T1", "Fisher"}, ours))
	require.Contains(t, out.String(), "| T1 | Fisher's test of a fixed size, 80% and 90% power | 313,302 / 406,824 to 395 / 468 | – | – | 0 | left out: ")
}

func TestTheCommandPrintsATable(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, calibrate(&out, io.Discard, sample{scale: 0.05}, selection{"H3", "alpha .01: candidate requests"}, ours))
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

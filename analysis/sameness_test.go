package analysis

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// fourMetrics judges errors and each kind of times, each against stable and a limit.
func fourMetrics() config.PolicySpec {
	p := fullPolicy()
	most := config.Duration(100 * time.Millisecond)
	versus := &config.VersusStable{RollbackIf: 1.15, PromoteIf: config.Below{Ratio: 1.4}}
	p.Metrics = append(p.Metrics,
		config.Metric{Name: config.MetricTTFB, Weight: 0.2, SLO: &config.SLO{P95: &most}, Quantiles: []config.Quantile{.5, .95}, VersusStable: versus},
		config.Metric{Name: config.MetricTPOT, Weight: 0.1, SLO: &config.SLO{P50: &most}, Quantiles: []config.Quantile{.5}, VersusStable: versus},
	)
	return p.Default()
}

// everyMetric has, besides, segments and metrics from elsewhere.
func everyMetric() config.PolicySpec {
	p := fourMetrics()
	versus := &config.VersusStable{RollbackIf: 1.2, PromoteIf: config.Below{Ratio: 1.5}}
	p.Segments = &config.Segments{Header: "x-tenant", Max: 3}
	p.Metrics = append(p.Metrics,
		config.Metric{Name: "spills", Weight: 0.1, SLO: &config.SLO{Max: percentOf(2)}, VersusStable: versus, Prometheus: &config.Prometheus{Bad: "a", Total: "b"}},
		config.Metric{Name: "heat", Weight: 0.1, VersusStable: versus, Prometheus: &config.Prometheus{Value: "c"}},
	)
	return p.Default()
}

// anyIndex draws the windows of one index by integers alone, so that they are the same
// on any machine: pods of four versions' epochs, in no order, some of them slow, with
// bursts of errors.
func anyIndex(rng *rand.Rand, index int64) []Window {
	slow, burst := uint16(max(0, index/40)), 0
	if rng.IntN(40) == 0 {
		burst = 30 // % more of the candidate's requests fail
	}
	var ws []Window
	for pod := range int64(7) {
		if rng.IntN(10) == 0 {
			continue // it served nobody
		}
		version := []string{"v1", "v2", "v1", "other"}[pod%4]
		w := windowOf(index, version, 1+uint64(index+20)/120, fmt.Sprint("pod-", pod), rng.Int64N(12), 0)
		for range w.Requests {
			anyRequest(rng, &w, burst, slow*uint16(pod%4%2))
		}
		w.Abandoned, w.ClientErrors, w.Begun, w.Told = rng.Int64N(2), rng.Int64N(20)/19, rng.Int64N(2), rng.Int64N(2)
		ws = append(ws, w)
	}
	rng.Shuffle(len(ws), func(i, j int) { ws[i], ws[j] = ws[j], ws[i] })
	return ws
}

func anyRequest(rng *rand.Rand, w *Window, failing int, slow uint16) {
	unit := UnitCount{Place: Place(rng.IntN(400)), Segment: []string{"", "x", "y", "z", "u"}[rng.IntN(5)], Requests: 1}
	if w.Version != "v2" {
		failing = 0
	}
	if rng.IntN(100) < 2+failing {
		w.Errors, unit.Errors = w.Errors+1, 1
	}
	if unit.Place < 300 {
		w.Units.add(unit)
	}
	times := []*Times{&w.Times}
	if unit.Segment != "" {
		w.Segments.add(SegmentCount{Name: unit.Segment, Requests: 1, Errors: unit.Errors})
		times = append(times, &w.Segments.of(unit.Segment).Times)
	}
	index := uint16(400+rng.IntN(30)+rng.IntN(30)) + slow
	if rng.IntN(500) == 0 {
		index = LastBucket
	}
	for _, t := range times {
		t.Latencies.AddIndex(index)
		t.FirstBytes.AddIndex(index/2 + 100)
		t.PerToken.AddIndex(index/4 + 100)
	}
}

func anyMeasurements(rng *rand.Rand, index int64) []Measurement {
	read := func(x int64) Reading { return Reading{Outcome: Read, Value: float64(x)} }
	at := WindowKey{Index: index}.Start()
	counts := Measurement{Metric: "spills", At: at, Epoch: uint64(index / 120)}
	counts.Stable = Measured{Bad: read(index / 9), Total: read(20 * index)}
	counts.Candidate = Measured{Bad: read(index / 30), Total: read(5*index + rng.Int64N(5))}
	gauge := Measurement{Metric: "heat", At: at, Stable: Measured{Value: read(rng.Int64N(90))}, Candidate: Measured{Value: read(rng.Int64N(100))}}
	if rng.IntN(8) == 0 {
		gauge.Candidate.Value = Reading{Outcome: Stale}
	}
	return []Measurement{counts, gauge}
}

// courseOf runs an evidence over traffic, and gives the evidence and its assessment
// after each of its updates.
func courseOf(p config.PolicySpec, e Evidence, seed uint64, look func(Evidence, Assessment)) {
	rng := rand.New(rand.NewPCG(seed, 77))
	for index := int64(-20); index < 500; {
		var c Closed
		c.Shares = map[uint64]uint32{1: 3300, 2: 3400, 4: 3500, 5: 10_000} // of epoch 3 there is none
		for range 1 + rng.IntN(3) {
			c.Windows = append(c.Windows, anyIndex(rng, index)...)
			index += 1 + rng.Int64N(30)/29
		}
		e = e.Update(p, c)
		if rng.IntN(10) == 0 {
			e = e.Measure(p, anyMeasurements(rng, index)...)
		}
		look(e, Judge(p, e, time.Unix(index, 0)))
	}
}

// courses are of each kind of policy, and of each way to count.
func courses() map[string]func(look func(Evidence, Assessment)) {
	of := func(p config.PolicySpec, seed uint64, in func(Evidence) Evidence) func(look func(Evidence, Assessment)) {
		return func(look func(Evidence, Assessment)) { courseOf(p, in(NewEvidence(p, testArms())), seed, look) }
	}
	asIs := func(e Evidence) Evidence { return e }
	return map[string]func(look func(Evidence, Assessment)){
		"errors":       of(errorPolicy(), 1, asIs),
		"standard":     of(config.Standard(), 2, asIs),
		"four metrics": of(fourMetrics(), 3, asIs),
		"by unit":      of(fourMetrics(), 4, Evidence.ByUnit),
		"everything":   of(everyMetric(), 5, Evidence.ByUnit),
		"by request":   of(everyMetric(), 6, asIs),
	}
}

// What Sluice decides from the same traffic is the same, byte for byte, until somebody
// means to change it: then UPDATE_GOLDEN=1 writes the file, and saved evidence of a
// running rollout may mean something else to the new binary.
func TestGoldenTheSameTrafficGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	var lines []string
	for name, course := range courses() {
		sum, looks, last := fnv.New64a(), 0, Assessment{}
		course(func(e Evidence, a Assessment) {
			a.Reason, a.Hold = "", "" // words are not what this is about
			text, err := json.Marshal(a)
			require.NoError(t, err)
			_, _ = fmt.Fprintf(sum, "%s\n%s\n", bytesOf(t, e), text)
			looks, last = looks+1, a
		})
		lines = append(lines, fmt.Sprintf("%-12s %d looks, %016x, at last %s of %.3f nats", name, looks, sum.Sum64(), last.Verdict, last.LogE))
	}
	slices.Sort(lines)
	requireGolden(t, "testdata/sameness.golden", strings.Join(lines, "\n")+"\n")
}

func requireGolden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o750))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

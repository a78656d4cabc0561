package replay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/replay"
	"github.com/sluice-dev/sluice/config"
)

func TestAVersionThatFailsIsFoundByItsTrip(t *testing.T) {
	r := healthy(2)
	r.candidate.errors = 1
	got := run(t, r.String())
	require.Equal(t, analysis.Harmful, got.Verdict)
	require.Equal(t, "errors", got.Metric)
	require.NotNil(t, got.TrippedAt)
	require.Less(t, *got.TrippedAt, 1.0)
	require.Less(t, got.At, 2.0)
	require.GreaterOrEqual(t, got.At, *got.TrippedAt)
	require.LessOrEqual(t, got.N["candidate"], int64(20), "what came after the verdict would have gone to stable")
	require.Len(t, got.Trips, 1)
	require.Equal(t, "confirmed", got.Trips[0].Outcome)
	require.Contains(t, got.Reason, "candidate requests after the trip failed")
}

func TestAnEqualVersionIsHealthy(t *testing.T) {
	got := run(t, healthy(1).String())
	require.Equal(t, analysis.Healthy, got.Verdict, got.Reason)
	require.Nil(t, got.TrippedAt)
	require.Empty(t, got.Metric)
	require.Greater(t, got.At, 30.0, "latency is compared after the warm-up")
	require.Less(t, got.At, got.To)
	require.Len(t, got.Tests, 11)
	for _, test := range got.Tests { // as they stood when it was healthy, and not at the end
		require.LessOrEqual(t, test.Candidate.N, got.N["candidate"])
	}
	require.Contains(t, strings.Join(got.Notes, " "), "the split was not tested")
}

func TestAFewErrorsMoreAreFoundByTheFinalTests(t *testing.T) {
	r := healthy(3)
	r.stable.errors, r.candidate.errors, r.share = 0.005, 0.05, 0.05
	got := run(t, r.String())
	require.Equal(t, analysis.Harmful, got.Verdict, got.Reason)
	require.Less(t, got.At, 60.0)
	require.Greater(t, got.LogE["errors"], 3.0)
}

func TestASlowerVersionIsBlamedForLatency(t *testing.T) {
	r := healthy(4)
	r.candidate.median = 60
	got := run(t, r.String())
	require.Equal(t, analysis.Harmful, got.Verdict, got.Reason)
	require.Contains(t, got.Metric, "latency-")
}

func TestHarmThatBeginsLateTakesHealthBack(t *testing.T) {
	r := healthy(5)
	r.onset, r.broken = 100, arm{pods: 4, errors: 0.2, median: 40}
	got := run(t, r.String())
	require.Equal(t, analysis.Harmful, got.Verdict)
	require.Greater(t, got.At, 100.0)
	require.Less(t, got.At, 110.0)
}

func TestOneClockIsAsGoodAsAnother(t *testing.T) {
	r := healthy(6)
	r.candidate.errors, r.lasts = 0.05, 60
	first := run(t, r.String())
	r.from = 1_790_000_000 // a multiple of the block
	second := run(t, r.String())
	require.InDelta(t, first.At+r.from, second.At, 0.01)
	require.InDelta(t, *first.TrippedAt+r.from, *second.TrippedAt, 0.01)
	require.Equal(t, first.LogE, second.LogE)
}

func TestTheSameRecordingGivesTheSameDecisionsByteForByte(t *testing.T) {
	r := healthy(7)
	r.candidate.errors = 0.02
	text := r.String()
	whole := run(t, text)
	pieces, err := replay.Run(iotest.OneByteReader(strings.NewReader(text)), replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2"})
	require.NoError(t, err)
	a, err := json.Marshal(whole)
	require.NoError(t, err)
	b, err := json.Marshal(pieces)
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
}

func TestNoDataIsNotGoodNews(t *testing.T) {
	none, all := healthy(8), healthy(8)
	none.share, all.share = 0, 1
	for _, test := range []struct {
		name, text string
		want       analysis.Verdict
		reason     string
	}{
		{"an empty recording is blind", "", analysis.Blind, "the recording has no request"},
		{"one of other versions names them", `{"t":1,"version":"v9","status":200,"latency_ms":1}`, analysis.Blind, "no line is of v1 or v2; there are lines of v9"},
		{"one line is no window", `{"t":1,"version":"v1","status":200,"latency_ms":1}`, analysis.Blind, "no window of requests is complete"},
		{"without the candidate it is undecided", none.String(), analysis.Undecided, "no request of candidate v2"},
		{"without stable there is nothing to compare with", all.String(), analysis.Blind, "no request of stable v1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, test.text)
			require.Equal(t, test.want, got.Verdict)
			require.Contains(t, got.Reason, test.reason)
		})
	}
}

func TestALongSilenceIsCutShort(t *testing.T) {
	text := healthy(9).String() + `{"t": 90000000, "version": "v1", "status": 200, "latency_ms": 5}` + "\n"
	got := run(t, text)
	require.Equal(t, analysis.Healthy, got.Verdict)
	require.InDelta(t, 90_000_000, got.To, 0.01)
}

func TestABadLineIsNamedAndPassedOverOnlyIfAsked(t *testing.T) {
	const good = `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5}`
	for _, test := range []struct{ name, line, fact string }{
		{"no JSON", `{"t": 1,`, "is not JSON: unexpected end of JSON input"},
		{"no JSON at a place", `{"t": x}`, "is not JSON: invalid character 'x' looking for beginning of value, at byte 7"},
		{"no object", `[1]`, "is not a JSON object, found [1]"},
		{"two objects", `{} {}`, "is not JSON"},
		{"neither form", `{"a": 1}`, "t: is missing: neither a request"},
		{"no start", `{"version": "v1", "status": 200, "latency_ms": 5}`, "t: is missing"},
		{"a start in words", `{"t": "soon", "version": "v1", "status": 200, "latency_ms": 5}`, `t: is not a number, found "soon"`},
		{"a start before all", `{"t": -1, "version": "v1", "status": 200, "latency_ms": 5}`, "t: is not a time in seconds, found -1"},
		{"a start in milliseconds", `{"t": 1790000000000, "version": "v1", "status": 200, "latency_ms": 5}`, "t: is not a time in seconds"},
		{"a start beyond numbers", `{"t": 1e999, "version": "v1", "status": 200, "latency_ms": 5}`, "t: is not a number, found 1e999"},
		{"no version", `{"t": 1, "status": 200, "latency_ms": 5}`, "version: is missing"},
		{"a version that is a number", `{"t": 1, "version": 7, "status": 200, "latency_ms": 5}`, "version: is not a string, found 7"},
		{"no status", `{"t": 1, "version": "v1", "latency_ms": 5}`, "status: is missing"},
		{"a status that is none", `{"t": 1, "version": "v1", "status": 20000, "latency_ms": 5}`, "status: is not a whole number from 0 to 999, found 20000"},
		{"no latency", `{"t": 1, "version": "v1", "status": 200, "latency_ms": null}`, "latency_ms: is missing"},
		{"a latency below zero", `{"t": 1, "version": "v1", "status": 200, "latency_ms": -5}`, "latency_ms: is not from 0"},
		{"a first byte after the last", `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5, "ttfb_ms": 6}`, "ttfb_ms: is above latency_ms, found 6"},
		{"half an epoch", `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5, "epoch": 1.5}`, "epoch: is not a whole number"},
		{"a gRPC status in words", `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5, "grpc_status": "odd"}`, `grpc_status: is not a number, found "odd"`},
		{"a pod that is none", `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5, "pod": {}}`, "pod: is not a string, found {}"},
		{"a unit that is none", `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5, "unit": 3}`, "unit: is not a string, found 3"},
		{"far ahead", `{"t": 1000, "version": "v1", "status": 200, "latency_ms": 5}`, "ends 16m39s after the line below it"},
		{"a start between the clocks", `{"t": 500000000, "version": "v1", "status": 200, "latency_ms": 5}`, "t: is not a time in seconds, found 500000000"},
		{"too long", `{"t": "` + strings.Repeat("x", 1<<21) + `"}`, "is longer than 1048576 bytes"},
		{"an entry without an end", `{"start_time": "2026-01-01T00:00:00.000Z", "upstream_cluster": "a/b/v1", "response_code": 200}`, "duration: is missing"},
		{"an entry at no time", `{"start_time": "noon", "upstream_cluster": "a/b/v1", "response_code": 200, "duration": 4}`, "start_time: is not a time like"},
		{"an entry without an outcome", `{"start_time": "2026-01-01T00:00:00.000Z", "upstream_cluster": "a/b/v1", "duration": 4}`, "response_code: is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := "\n" + good + "\n" + test.line + "\n" + good + "\n"
			line := int64(strings.Count(test.line, "\n") + 3)
			c := replay.Config{Name: "day.jsonl", Policy: config.Standard(), Stable: "v1", Candidate: "v2"}
			_, err := replay.Run(strings.NewReader(text), c)
			var bad *replay.LineError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, line, bad.Line)
			require.Contains(t, bad.Fact, test.fact)
			require.Contains(t, err.Error(), "day.jsonl:"+strconv.FormatInt(line, 10)+": ")

			var heard []error
			c.Bad = func(err error) { heard = append(heard, err) }
			got, err := replay.Run(strings.NewReader(text), c)
			require.NoError(t, err)
			require.Equal(t, err == nil, len(heard) > 0)
			require.Equal(t, int64(len(heard)), got.Skipped)
			require.Equal(t, bad.Error(), heard[0].Error())
		})
	}
}

func TestOnlyTheLineThatIsFarFromAllOthersIsPassedOver(t *testing.T) {
	r := healthy(10)
	r.lasts = 60
	lines := strings.SplitAfter(strings.TrimSpace(r.String()), "\n")
	without := run(t, strings.Join(lines, ""))
	for name, far := range map[string]string{
		"100 s ahead":          `{"t": 400, "version": "v1", "pod": "v1-0:80", "status": 200, "latency_ms": 5}`,
		"in Unix time":         `{"t": 1767225600, "version": "v1", "pod": "v1-0:80", "status": 200, "latency_ms": 5}`,
		"as slow as 11 days":   `{"t": 10, "version": "v2", "pod": "v2-0:80", "status": 200, "latency_ms": 1e9}`,
		"of long before":       `{"t": 0, "version": "v1", "pod": "v1-0:80", "status": 200, "latency_ms": 5}`,
		"of long before, slow": `{"t": 0, "version": "v2", "pod": "v2-0:80", "status": 200, "latency_ms": 900}`,
	} {
		for _, at := range []int{0, 2, 6000, len(lines) - 2} {
			if at < 6000 && strings.Contains(name, "before") {
				continue // there it is in order
			}
			t.Run(fmt.Sprintf("%s, line %d", name, at+1), func(t *testing.T) {
				text := strings.Join(lines[:at], "") + far + "\n" + strings.Join(lines[at:], "")
				var heard []error
				c := replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2", Bad: func(err error) { heard = append(heard, err) }}
				got, err := replay.Run(strings.NewReader(text), c)
				require.NoError(t, err)
				require.Len(t, heard, 1)
				require.ErrorContains(t, heard[0], fmt.Sprintf("recording:%d: ends ", at+1))
				require.Contains(t, got.Notes[len(got.Notes)-1], fmt.Sprintf("1 of %d lines were passed over", len(lines)+1))
				require.Equal(t, without.Verdict, got.Verdict)
				require.Equal(t, without.LogE, got.LogE)
				require.Equal(t, without.N, got.N)
				require.InDelta(t, without.To, got.To, 0)
			})
		}
	}
}

func TestAFirstLineOfNoTimeIsPassedOver(t *testing.T) {
	r := healthy(12)
	r.from = 1_790_000_000
	text := r.String()
	c := replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2", Bad: func(error) {}}
	got, err := replay.Run(strings.NewReader(`{"t": 0, "version": "v1", "pod": "v1-0:80", "status": 200, "latency_ms": 5}`+"\n"+text), c)
	require.NoError(t, err)
	require.Equal(t, int64(1), got.Skipped)
	require.Contains(t, got.Notes[1], "the first of them line 1: ends ")
	require.InDelta(t, run(t, text).From, got.From, 0)
}

// Each window between two lines was closed one by one: it took a minute and more.
func TestAJumpOfYearsIsTimeThatPasses(t *testing.T) {
	const last = `{"t": 7000000000, "version": "v1", "pod": "v1-0:80", "status": 200, "latency_ms": 5}`
	text := healthy(9).String()
	got := run(t, text+strings.Repeat(last+"\n", 40)+strings.Replace(last, "7000", "7200", 1))
	require.Equal(t, run(t, text).LogE, got.LogE)
	require.InDelta(t, 7.2e9, got.To, 0.01)
	require.Zero(t, got.Skipped)
}

func TestAByteOrderMarkIsNoPartOfTheFirstLine(t *testing.T) {
	require.Equal(t, run(t, healthy(1).String()), run(t, "\ufeff"+healthy(1).String()))
}

func TestSegmentsAreACount(t *testing.T) {
	for _, n := range []int{-5, 101} {
		_, err := replay.Run(strings.NewReader(""), replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2", Segments: n})
		require.ErrorContains(t, err, fmt.Sprintf("segments: is not from 0 to 100, found %d", n))
	}
}

// A candidate whose few answers are very slow trips at the median, and is convicted at
// the tail.
func TestWhatConvictsIsWhatIsTold(t *testing.T) {
	r := healthy(11)
	r.candidate.median, r.rps = 100, 100
	got := run(t, r.String())
	require.Equal(t, analysis.Harmful, got.Verdict)
	require.Equal(t, "trip", got.Why.Method, got.Reason)
	told := map[string]string{"latency-p50": "stable's p50", "latency-p95": "stable's p95"}
	require.Contains(t, got.Reason, told[got.Metric])
	require.Contains(t, got.Reason, fmt.Sprintf("evidence of harm is %.1f nats, %.1f confirm", got.Why.LogE, got.Why.LogNeeded))
	require.Equal(t, got.Metric, got.Why.Metric)
	require.NotEqual(t, got.Trips[0].Metric, got.Metric)
}

func TestWhatNoLineSaysIsNoted(t *testing.T) {
	p := config.Standard()
	p.Metrics = append(p.Metrics, config.Metric{Name: config.MetricTTFB}, config.Metric{Name: config.MetricTPOT})
	p = p.Default()
	c := replay.Config{Policy: p, Stable: "v1", Candidate: "v2", Segments: 5}
	notes := func(line string) string {
		got, err := replay.Run(strings.NewReader(line), c)
		require.NoError(t, err)
		return strings.Join(got.Notes, "\n")
	}
	bare := notes(`{"t": 1, "version": "v1", "status": 200, "latency_ms": 50}`)
	for _, note := range []string{`1 of 1 lines have no "pod"`, `no line has a "ttfb_ms"`, `no line has a "tpot_ms"`, `no line has a "segment"`} {
		require.Contains(t, bare, note)
	}
	full := notes(`{"t": 1, "version": "v1", "pod": "p", "segment": "s", "status": 200, "latency_ms": 50, "ttfb_ms": 5, "tpot_ms": 1}`)
	require.NotContains(t, full, "no line has")
	require.NotContains(t, full, "have no")
}

func TestAReaderThatBreaksEndsTheReplay(t *testing.T) {
	broken := errors.New("disk is gone")
	c := replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2", Bad: func(error) {}}
	_, err := replay.Run(io.MultiReader(strings.NewReader("{\n"), iotest.ErrReader(broken)), c)
	require.ErrorIs(t, err, broken)
}

func TestArmsAreTwoVersions(t *testing.T) {
	for _, arms := range [][2]string{{"", "v2"}, {"v1", ""}, {"v1", "v1"}} {
		_, err := replay.Run(strings.NewReader(""), replay.Config{Policy: config.Standard(), Stable: arms[0], Candidate: arms[1]})
		require.ErrorContains(t, err, "must be two versions")
	}
}

func TestMemoryDoesNotGrowWithTheRecording(t *testing.T) {
	var heap []uint64
	c := replay.Config{
		Policy: config.Standard(), Stable: "v1", Candidate: "v2",
		Progress: func(int64) {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			heap = append(heap, m.HeapAlloc)
		},
	}
	const lines = 400_000
	got, err := replay.Run(&endless{lines: lines}, c)
	require.NoError(t, err)
	require.Equal(t, int64(lines), got.Lines)
	require.Greater(t, len(heap), 20)
	grown := int64(heap[len(heap)-1]) - int64(heap[5])
	assert.Less(t, grown, int64(256<<10), "heap after a quarter and at the end: %v", heap)
}

func BenchmarkReplay(b *testing.B) {
	b.ReportAllocs()
	got, err := replay.Run(&endless{lines: int64(b.N)}, replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2"})
	require.NoError(b, err)
	require.Equal(b, int64(b.N), got.Lines)
}

func TestASegmentOfARecordingIsNamed(t *testing.T) {
	var text strings.Builder
	for i := range 24_000 { // 2% of requests are of tenant-0, which the candidate fails
		version, segment, status := "v1", "tenant-1", 200
		if i%10 == 0 {
			version = "v2"
		}
		if i%50 < 5 && i%1000 < 200 {
			segment = "tenant-0"
		}
		if version == "v2" && segment == "tenant-0" && i%40 == 0 || i%97 == 0 {
			status = 500
		}
		fmt.Fprintf(&text, `{"t": %.3f, "version": %q, "pod": "p:1", "status": %d, "latency_ms": 5, "segment": %q}`+"\n", float64(i)/200, version, status, segment)
	}
	p := config.Standard()
	p.Metrics, p.Metrics[0].SLO = p.Metrics[:1], nil
	p.Metrics[0].VersusStable.PromoteIf.OrSLO = false
	c := replay.Config{Policy: p, Stable: "v1", Candidate: "v2", Segments: 20}
	got, err := replay.Run(strings.NewReader(text.String()), c)
	require.NoError(t, err)
	require.Equal(t, analysis.Harmful, got.Verdict, got.Reason)
	require.Equal(t, "tenant-0", got.Why.Segment, got.Reason)

	c.Segments = 0
	got, err = replay.Run(strings.NewReader(text.String()), c)
	require.NoError(t, err)
	require.NotEqual(t, analysis.Harmful, got.Verdict, got.Reason)
}

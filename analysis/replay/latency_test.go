package replay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis/replay"
)

func TestLatenciesComeFromRequestsOrAHistogram(t *testing.T) {
	of, err := replay.Latencies(strings.NewReader(healthy(1).String()), "day.jsonl")
	require.NoError(t, err)
	require.InDelta(t, 0.040, of.Quantile(0.5).Seconds(), 0.002)

	const histogram = `# TYPE answer_seconds histogram
answer_seconds_bucket{route="a",le="0.01"} 10
answer_seconds_bucket{route="a",le="0.1"} 90
answer_seconds_bucket{route="a",le="+Inf"} 100
answer_seconds_sum{route="a"} 7.5
answer_seconds_count{route="a"} 100
other 1
`
	of, err = replay.Latencies(strings.NewReader(histogram), "metrics.txt")
	require.NoError(t, err)
	require.Equal(t, int64(100), of.Count())
	require.InDelta(t, float64(31*time.Millisecond), float64(of.Quantile(0.5)), float64(2*time.Millisecond))
	require.Greater(t, of.Quantile(0.99), 100*time.Millisecond)
}

func TestWhatIsNoLatencyIsNamed(t *testing.T) {
	for text, fact := range map[string]string{
		"":                      "f:0: ends without a latency",
		"what is this":          "f:1: is neither a request nor a bucket",
		"\n{\"t\": 1}":          "f:2: version: is missing",
		`a_bucket{le="soon"} 1`: `f:1: le: is not a bound in seconds, found "soon"`,
		`{"t":1,"version":"a","status":500,"latency_ms":3}`: "f:1: ends without a latency",
	} {
		_, err := replay.Latencies(strings.NewReader(text), "f")
		require.ErrorContains(t, err, fact, text)
	}
}

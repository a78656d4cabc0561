package analysis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

func TestAge(t *testing.T) {
	of := func(d time.Duration, timeouts int) (b analysis.Buckets) {
		for range 2000 {
			b.Add(d)
		}
		for range timeouts {
			b.AddIndex(analysis.LastBucket)
		}
		return b
	}
	edge := func(d time.Duration) time.Duration { return analysis.Edge(analysis.Index(d)) }
	for _, tt := range []struct {
		name   string
		stable analysis.Buckets
		limit  time.Duration
		want   time.Duration
	}{
		{"is twice stable's p99.9", of(analysis.Edge(500), 0), 0, 2 * analysis.Edge(500)},
		{"is at least 100 ms", of(time.Millisecond, 0), 0, 100 * time.Millisecond},
		{"is at most 10 s without a limit", of(6*time.Second, 0), 0, 10 * time.Second},
		{"is at most the limit", of(700*time.Millisecond, 0), 800 * time.Millisecond, 800 * time.Millisecond},
		{"is the limit where even that is under 100 ms", of(40*time.Millisecond, 0), 50 * time.Millisecond, 50 * time.Millisecond},
		{"is stable's p99 where that is longer than the limit", of(time.Minute, 0), 800 * time.Millisecond, edge(time.Minute)},
		{"is stable's p99 where that is longer than 10 s", of(time.Minute, 0), 0, edge(time.Minute)},
		{"is at most 10 minutes", of(time.Hour, 0), 0, 10 * time.Minute},
		{"is the limit where stable itself times out", of(time.Millisecond, 10), 2 * time.Second, 2 * time.Second},
		{"is 1 s where nothing is known", nil, 0, time.Second},
		{"is at most the limit where nothing is known", nil, 300 * time.Millisecond, 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, analysis.Age(tt.stable, tt.limit))
		})
	}
}

func TestPatience(t *testing.T) {
	var quick, slow analysis.Buckets
	quick.Add(analysis.Edge(500))
	slow.Add(analysis.Edge(800))
	assert.Zero(t, analysis.Patience(nil, time.Second), "without end while nothing is known")
	assert.Equal(t, 5*time.Second, analysis.Patience(quick, time.Second), "at least 5 s")
	assert.Equal(t, 2*analysis.Edge(800), analysis.Patience(slow, time.Second), "twice stable's p99.9")
	assert.Equal(t, 10*time.Minute, analysis.Patience(slow, 10*time.Minute), "at least the limit")
}

func TestHowLongStableTakesIsUnknownUntilMoreThanItsFastAnswersCame(t *testing.T) {
	dawn, policy := time.Unix(1000, 0), config.PolicySpec{}
	var past analysis.Past
	answer := func(took time.Duration) {
		for range 5 {
			past.See("v1", analysis.Request{Version: "v1", Attempt: 1, Duration: took, Outcome: analysis.Succeeded})
		}
	}
	past.Turn(dawn)
	assert.Zero(t, past.Age(policy), "nothing came yet")
	answer(20 * time.Second)
	past.Turn(dawn.Add(20 * time.Second))
	assert.Zero(t, past.Age(policy), "only the fast ones came")
	assert.Zero(t, past.Patience(policy))
	answer(time.Minute)
	past.Turn(dawn.Add(2 * time.Minute))
	assert.Equal(t, analysis.Edge(analysis.Index(time.Minute)), past.Age(policy))
	past.Turn(dawn.Add(time.Hour))
	past.Turn(dawn.Add(2 * time.Hour))
	assert.Positive(t, past.Age(policy), "a silence is not forgotten into 1 s")

	var silent analysis.Past
	silent.Turn(dawn)
	silent.Turn(dawn.Add(2 * time.Minute))
	assert.Equal(t, time.Second, silent.Age(policy), "what never answers is not waited for")
}

package analysis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/analysis"
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
	for _, tt := range []struct {
		name   string
		stable analysis.Buckets
		limit  time.Duration
		want   time.Duration
	}{
		{"is twice stable's p99.9", of(analysis.Edge(500), 0), 0, 2 * analysis.Edge(500)},
		{"is at least 100 ms", of(time.Millisecond, 0), 0, 100 * time.Millisecond},
		{"is at most 10 s without a limit", of(time.Minute, 0), 0, 10 * time.Second},
		{"is at most the limit", of(time.Second, 0), 800 * time.Millisecond, 800 * time.Millisecond},
		{"is the limit where even that is under 100 ms", of(time.Second, 0), 50 * time.Millisecond, 50 * time.Millisecond},
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

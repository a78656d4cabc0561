package world_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/world"
)

// latencies hears how long answers take.
type latencies struct{ all analysis.Buckets }

func (l *latencies) Handle(_ time.Time, ev world.Event) {
	if e, logged := ev.(*world.Logged); logged {
		for _, r := range e.Entries {
			if !r.Running && r.Outcome == analysis.Succeeded {
				l.all.Add(r.Duration)
			}
		}
	}
}

// A median and a tail of a lognormal would have nobody wait for 10ms.
func TestMeasuredTimesAreDrawnAsTheyWere(t *testing.T) {
	var measured analysis.Buckets
	for range 900 {
		measured.Add(10 * time.Millisecond)
	}
	for range 100 {
		measured.Add(time.Second)
	}
	v := world.Version{Pods: 2, Measured: world.NewMeasured(measured)}
	require.InDelta(t, 0.109, v.MeanService(), 0.002)
	spec := plain()
	spec.Rate, spec.Stable, spec.Candidate = 100, v, v
	w, err := world.New(spec)
	require.NoError(t, err)
	var l latencies
	w.Run(&l, w.Now().Add(30*time.Second))
	got := l.all
	require.Greater(t, got.Count(), int64(2000))
	require.InDelta(t, 0.1, float64(got.Above(analysis.Index(100*time.Millisecond)))/float64(got.Count()), 0.02)
	require.InDelta(t, 0.010, got.Quantile(0.5).Seconds(), 0.0003)
	require.InDelta(t, 0.010, got.Quantile(0.85).Seconds(), 0.0003)
	require.InDelta(t, 1, got.Quantile(0.95).Seconds(), 0.03)
	require.Nil(t, world.NewMeasured(nil))
}

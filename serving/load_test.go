package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/serving"
)

// steady feeds requests of two items at a rate; every tenth fails.
func steady(rate int, length time.Duration) (*serving.Load, time.Time) {
	var l serving.Load
	now := epoch
	for i := 0; now.Sub(epoch) < length; i++ {
		now = now.Add(time.Second / time.Duration(rate))
		l.Arrived(now, 2, 50*ms)
		if i%10 == 0 {
			l.Failed(now, 1)
		} else {
			l.Answered(now, 1)
		}
	}
	return &l, now
}

func TestLoad(t *testing.T) {
	t.Run("rates are those of the last seconds", func(t *testing.T) {
		for _, length := range []time.Duration{time.Second, 3 * time.Second, time.Minute} {
			l, now := steady(100, length)
			r := l.Report(now, 400, 0)
			assert.InDelta(t, 100, r.RPS, 3, length)
			assert.InDelta(t, 10, r.EPS, 2, length)
			assert.InDelta(t, 0.5, r.Utilization, 0.02, length)
		}
	})
	t.Run("a backlog counts by the time that requests have", func(t *testing.T) {
		l, now := steady(100, 10*time.Second)
		assert.InDelta(t, 0.5+0.4, l.Report(now, 400, 20*ms).Utilization, 0.02)
	})
	t.Run("it is above one under overload", func(t *testing.T) {
		l, now := steady(300, 10*time.Second)
		assert.Greater(t, l.Report(now, 400, 0).Utilization, 1.4)
	})
	t.Run("it fades when nothing comes, to the floor and no further", func(t *testing.T) {
		l, now := steady(100, 10*time.Second)
		r := l.Report(now.Add(time.Minute), 400, 0)
		assert.InDelta(t, 0.01, r.Utilization, 1e-9)
		assert.Less(t, r.RPS, 1e-3)
	})
	t.Run("nothing seen and nothing known is the floor", func(t *testing.T) {
		var l serving.Load
		assert.Equal(t, serving.LoadReport{Utilization: 0.01}, l.Report(epoch, 0, 0))
	})
}

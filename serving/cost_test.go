package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/serving"
)

func observed(fixed, perItem time.Duration, sizes ...int) *serving.Cost {
	c := &serving.Cost{}
	for range 100 {
		for _, items := range sizes {
			c.Observe(items, fixed+time.Duration(items)*perItem)
		}
	}
	return c
}

func TestCost(t *testing.T) {
	const near = float64(10 * time.Microsecond)
	t.Run("a line through what was seen predicts what was not", func(t *testing.T) {
		c := observed(2*ms, 100*time.Microsecond, 1, 4, 16)
		assert.InDelta(t, 8400*time.Microsecond, c.Predict(64), near)
	})
	t.Run("batches of one size count all time per item", func(t *testing.T) {
		assert.InDelta(t, 24*ms, observed(2*ms, 4*ms, 1).Predict(4), near)
	})
	t.Run("a slope once learned survives batches of one size", func(t *testing.T) {
		c := observed(2*ms, ms, 1, 8)
		for range 500 {
			c.Observe(1, 5*ms) // it became slower
		}
		assert.InDelta(t, 5*ms, c.Predict(1), near)
		assert.InDelta(t, 11*ms, c.Predict(8), float64(2*ms))
	})
	t.Run("one stall does not put every deadline out of reach", func(t *testing.T) {
		c := observed(0, 6*ms, 1, 2)
		c.Observe(1, 10*time.Second)
		assert.Less(t, c.Bound(1), 15*ms)
	})
	t.Run("a device that became slower is believed in the end", func(t *testing.T) {
		c := observed(0, 6*ms, 1, 2)
		for range 300 {
			c.Observe(1, 60*ms)
		}
		assert.InDelta(t, 60*ms, c.Predict(1), float64(ms))
	})
	t.Run("the bound is the prediction where nothing varies, and more where it does", func(t *testing.T) {
		steady := observed(2*ms, ms, 1, 8)
		assert.InDelta(t, steady.Predict(4), steady.Bound(4), near)
		for i := range 200 {
			steady.Observe(4, time.Duration(4+4*(i%2))*ms)
		}
		assert.Greater(t, steady.Bound(4), steady.Predict(4)+2*ms)
	})
}

func TestCostKnee(t *testing.T) {
	tests := []struct {
		name           string
		fixed, perItem time.Duration
		limit, want    int
	}{
		{"no fixed cost: one by one", 0, 6 * ms, 64, 1},
		{"all cost is fixed: nearly as many as allowed", 5 * ms, 0, 64, 61},
		{"a mixed cost lies between", 2 * ms, 100 * time.Microsecond, 64, 53},
		{"the limit holds", 2 * ms, 100 * time.Microsecond, 1, 1},
		{"a batch that takes no time", 0, 0, 8, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sizes := []int{1}
			if test.limit > 1 {
				sizes = []int{1, 2, test.limit}
			}
			c := observed(test.fixed, test.perItem, sizes...)
			assert.Equal(t, test.want, c.Knee(test.limit))
		})
	}
	assert.Equal(t, 8, new(serving.Cost).Knee(8), "nothing known: as many as allowed")
}

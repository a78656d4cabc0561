package serving

import (
	"math"
	"time"
)

// Cost predicts how long a batch takes: T(b) = fixed + perItem·b, least squares
// over recent batches, each counting 2 % less than the next. The zero Cost
// knows nothing and predicts no time at all.
type Cost struct {
	fixed, perItem float64 // seconds, neither negative
	variance       float64 // of the prediction's error, seconds squared
	spread         float64 // its root
	sloped         bool    // batches of different sizes were seen

	n, b, bb, t, bt float64 // decayed sums over batches: 1, items, items², time, items·time
}

const (
	memory = 0.98 // weight of a batch against the one after it: 50 count
	// surprise caps what one batch may teach: one stall (a paused machine) must
	// not make every deadline look out of reach.
	surprise = 4
	guesses  = 2.5   // batches before which a miss is no surprise: two make a line
	tail     = 1.645 // standard deviations: one in twenty of a normal error is above
	// kneeShare of the best rate is enough: larger batches only add waiting.
	kneeShare  = 0.95
	crestShare = 0.995
)

// Known says whether any batch was observed.
func (c *Cost) Known() bool { return c.n > 0 }

// Predict is the expected time of a batch.
func (c *Cost) Predict(items int) time.Duration { return seconds(c.predict(items)) }

// Bound is what about nineteen of twenty batches stay within.
func (c *Cost) Bound(items int) time.Duration {
	return seconds(c.predict(items) + tail*c.spread)
}

func (c *Cost) predict(items int) float64 { return c.fixed + c.perItem*float64(items) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Observe learns from one batch that ran.
func (c *Cost) Observe(items int, took time.Duration) {
	b, t := float64(items), took.Seconds()
	if usual := c.predict(items); usual > 0 {
		t = min(t, surprise*usual)
	}
	if miss := t - c.predict(items); c.n > guesses {
		c.variance = memory*c.variance + (1-memory)*miss*miss
		c.spread = math.Sqrt(c.variance)
	}
	c.n = memory*c.n + 1
	c.b = memory*c.b + b
	c.bb = memory*c.bb + b*b
	c.t = memory*c.t + t
	c.bt = memory*c.bt + b*t
	c.fit()
}

// fit solves for the line. Batches of one size say nothing about its slope:
// then the old slope is kept, or, without one, all time is counted per item.
func (c *Cost) fit() {
	meanB, meanT := c.b/c.n, c.t/c.n
	spread := c.bb/c.n - meanB*meanB
	switch {
	case spread > 0.01*meanB*meanB:
		c.sloped = true
		c.perItem = (c.bt/c.n - meanB*meanT) / spread
	case c.perItem == 0 && c.fixed == 0:
		c.perItem = meanT / meanB
	}
	c.perItem = min(max(c.perItem, 0), meanT/meanB)
	c.fixed = meanT - c.perItem*meanB
}

// Knee is the smallest batch that gives 95 % of the rate of a batch of limit.
// It is 1 where batching does not pay, and limit while nothing is known.
func (c *Cost) Knee(limit int) int { return c.smallest(kneeShare, limit) }

// Crest is the same for 99.5 %: worth its longer waits only where many wait.
func (c *Cost) Crest(limit int) int { return c.smallest(crestShare, limit) }

func (c *Cost) smallest(share float64, limit int) int {
	if !c.Known() {
		return limit
	}
	rate := share * float64(limit) / c.predict(limit) // of b: b / (fixed + perItem·b)
	b := math.Ceil(rate * c.fixed / (1 - rate*c.perItem))
	if !(b > 1) { // not a number for a batch that took no time
		return 1
	}
	return min(int(b), limit)
}

// perItemAt is the time an item takes in batches of the given size.
func (c *Cost) perItemAt(items int) time.Duration {
	return seconds(c.predict(items) / float64(items))
}

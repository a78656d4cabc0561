package serving

import "time"

// costs are what was learned of preparing, running and answering batches. The
// zero costs know nothing.
type costs struct {
	before, device, after Cost
	byKey                 map[string]*Cost // of the device; "" is not in it
}

// keysKnown caps byKey: a model whose requests choose freely has no end of keys.
const keysKnown = 256

// of is the device's cost for a key: its own, once batches of different sizes
// have said what it depends on, or that of all.
func (c *costs) of(key string) *Cost {
	if key != "" {
		if own, ok := c.byKey[key]; ok && own.sloped && own.n > guesses {
			return own
		}
	}
	return &c.device
}

func (c *costs) observe(key string, rows int, s Spent) {
	c.before.Observe(rows, s.Before)
	c.device.Observe(rows, s.Device)
	c.after.Observe(rows, s.After)
	if key == "" {
		return
	}
	own, ok := c.byKey[key]
	switch {
	case ok:
	case len(c.byKey) >= keysKnown:
		return
	case c.byKey == nil:
		c.byKey = map[string]*Cost{}
		fallthrough
	default:
		own = &Cost{}
		c.byKey[key] = own
	}
	own.Observe(rows, s.Device)
}

// guard is what predictions at admission fell short by, for nineteen of twenty
// requests: a running quantile (Robbins and Monro, 1951). The zero guard trusts
// the predictions.
type guard struct{ short float64 } // seconds, not negative

const (
	guardRate  = 0.02 // of a batch's time, one step
	guardShare = 0.05 // of requests may be answered later than promised
)

// observe learns from an answer so much later than promised (earlier: negative).
func (g *guard) observe(later, batch time.Duration) {
	step := guardRate * batch.Seconds()
	if later.Seconds() > g.short {
		g.short += (1 - guardShare) * step
		return
	}
	g.short = max(0, g.short-guardShare*step)
}

// extra is what a promise behind so many items is to be extended by: one that
// waits for nobody needs no more than its own batch's bound.
func (g *guard) extra(ahead int) time.Duration {
	if ahead == 0 {
		return 0
	}
	return seconds(g.short)
}

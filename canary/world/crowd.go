package world

import (
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/sluice-dev/sluice/config"
)

// crowd is units, such as users, that a split keeps with a version. So many are about at a
// time, who send alike often, but some go on for far longer than others: the number of
// requests that a unit sends is lognormal, and a tenth of them send half of all. One
// that is done makes room for the next.
type crowd struct {
	rng     *rand.Rand
	perUnit float64
	about   []unit
	born    uint64
}

// unit is one of them. Its point in the split never changes: that is what sticks.
type unit struct {
	name  string
	point uint32
	left  int // requests that it has yet to send
}

const (
	crowdSize   = 1024
	crowdSpread = 1.5 // standard deviation of the logarithm of a unit's requests
)

// MostPerUnit is how many requests per unit a crowd can have on average.
const MostPerUnit = 1000

func newCrowd(s Spec) *crowd {
	if s.PerUnit == 0 {
		return nil
	}
	return &crowd{rng: stream(s.Seed, 50), perUnit: s.PerUnit, about: make([]unit, crowdSize)}
}

// draw is whose request comes next. Without a crowd it is nobody's.
func (c *crowd) draw() unit {
	if c == nil {
		return unit{}
	}
	u := &c.about[c.rng.IntN(crowdSize)]
	if u.left == 0 {
		c.born++
		*u = unit{name: "unit-" + strconv.FormatUint(c.born, 10), point: c.rng.Uint32N(config.WholeSplit), left: c.requests()}
	}
	u.left--
	return *u
}

// requests is how many a unit sends.
func (c *crowd) requests() int {
	more := (c.perUnit - 1) * math.Exp(crowdSpread*c.rng.NormFloat64()-crowdSpread*crowdSpread/2)
	return 1 + int(math.Round(more))
}

package analysis

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// ABTest compares versions by what becomes of those who use them: clicks, labels,
// ratings, failures. Every unit is assigned to an arm by chance and counts once per
// outcome. It may be judged at every moment; no number of looks states a difference that
// is not there more often than Error. Its split stays as it is: sums over a changing one
// would take a drift for a difference.
type ABTest struct {
	Arms []string // two or more, the reference first
	// Error is the chance, over all outcomes together, that any difference is ever
	// stated wrongly.
	Error config.Percent
	// Planned is about how many units per arm are expected; bounds are narrowest
	// there, and hold at any number. 0 is 1,000.
	Planned int64
	// Within is how long after its first request what becomes of a unit counts.
	Within   time.Duration
	Outcomes []config.ABOutcome // the first decides who wins
}

// NewABTest is the test that a valid configuration asks for.
func NewABTest(c config.ABTest) ABTest {
	arms := slices.DeleteFunc(slices.Sorted(maps.Keys(c.Arms)), func(arm string) bool { return arm == c.Reference })
	return ABTest{
		Arms: append([]string{c.Reference}, arms...), Error: c.Error, Planned: c.Planned, Within: c.Within.D(), Outcomes: c.Outcomes,
	}
}

// accept says why a value is none that somebody may report of an outcome.
func (t ABTest) accept(outcome string, value float64) error {
	at := slices.IndexFunc(t.Outcomes, func(o config.ABOutcome) bool { return o.Name == outcome })
	if at < 0 || !t.Outcomes[at].Reported() {
		return fmt.Errorf("outcome: is none that is reported of this test, found %q", outcome)
	}
	switch o := t.Outcomes[at]; {
	case math.IsNaN(value) || math.Abs(value) > config.MostValue:
		return fmt.Errorf("value: is not a number up to a billion, found %v", value)
	case o.Kind == config.ABRate && value != 0 && value != 1:
		return fmt.Errorf("value: of a rate is neither 0 nor 1, found %v", value)
	case o.Min != nil && value < *o.Min:
		return fmt.Errorf("value: is below the outcome's min of %v, found %v", *o.Min, value)
	case o.Max != nil && value > *o.Max:
		return fmt.Errorf("value: is above the outcome's max of %v, found %v", *o.Max, value)
	}
	return nil
}

// ABEvidence is the sums of an A/B test. It holds nothing but integers, and is the same
// whatever the order. The zero value has seen nothing.
type ABEvidence struct {
	Cells []ABCell `json:"cells"` // by outcome and arm
}

// ABCell sums one outcome of one arm.
type ABCell struct {
	Outcome string `json:"outcome"`
	Arm     string `json:"arm"`
	N       int64  `json:"n"`
	Sum     wide   `json:"sum"` // of values, in millionths
	Squares wide   `json:"squares"`
}

// abUnit is one in an ABCell's fixed point.
const abUnit = 1_000_000

// Add counts a value of one unit, in millionths. Each unit counts once per outcome; that
// is for the caller to see to.
func (e *ABEvidence) Add(outcome, arm string, fixed int64) {
	c := ABCell{Outcome: outcome, Arm: arm, N: 1, Sum: wideOf(fixed), Squares: squareOf(fixed)}
	at, found := slices.BinarySearchFunc(e.Cells, c, func(a, b ABCell) int {
		return cmp.Or(cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Arm, b.Arm))
	})
	if !found {
		e.Cells = slices.Insert(e.Cells, at, c)
		return
	}
	to := &e.Cells[at]
	to.N, to.Sum, to.Squares = to.N+c.N, to.Sum.plus(c.Sum), to.Squares.plus(c.Squares)
}

func (e ABEvidence) cell(outcome, arm string) ABCell {
	for _, c := range e.Cells {
		if c.Outcome == outcome && c.Arm == arm {
			return c
		}
	}
	return ABCell{Outcome: outcome, Arm: arm}
}

func (c ABCell) mean() float64 {
	if c.N == 0 {
		return 0
	}
	return c.Sum.float() / abUnit / float64(c.N)
}

// variance of the values, and not of their mean.
func (c ABCell) variance() float64 {
	if c.N < 2 {
		return math.Inf(1)
	}
	mean := c.mean()
	return max(0, c.Squares.float()/abUnit/abUnit/float64(c.N)-float64(mean*mean)) * float64(c.N) / float64(c.N-1)
}

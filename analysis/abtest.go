package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// ABTest compares versions by what users did with their answers: clicks, labels,
// ratings. Every unit (a request, or a session) is assigned to an arm by chance and
// counts once per metric. It may be judged at every moment; no number of looks
// makes a winner of chance more often than Error. Its split stays as it is: sums over
// a changing one would take a drift for a difference.
type ABTest struct {
	Arms []string // two or more, the reference first
	// Error is the chance, per metric, that any difference is ever stated wrongly.
	Error config.Percent
	// Planned is about how many units per arm are expected; bounds are narrowest
	// there, and hold at any number. Default 1,000.
	Planned int64
	Metrics []ABMetric // the first decides who wins
}

// ABMetric is one outcome.
type ABMetric struct {
	Name   string
	Kind   ABKind
	Better ABDirection
}

// ABKind says how an outcome is compared.
type ABKind string

// Kinds of outcomes.
const (
	ABRate ABKind = "rate" // of 0 and 1: exact bounds
	ABMean ABKind = "mean" // of any values with a variance: bounds for some hundred units and more
)

// ABDirection says which way is better.
type ABDirection string

// Directions.
const (
	ABHigher ABDirection = "higher"
	ABLower  ABDirection = "lower"
)

// Check names everything that is wrong with a test.
func (t ABTest) Check() error {
	var errs []error
	if len(t.Arms) < 2 || len(slices.Compact(slices.Sorted(slices.Values(t.Arms)))) != len(t.Arms) {
		errs = append(errs, fmt.Errorf("arms: are not two or more different versions, found %q", t.Arms))
	}
	if t.Error <= 0 || t.Error >= config.PerMillion/2 {
		errs = append(errs, fmt.Errorf("error: is not above 0%% and below 50%%, found %s", t.Error))
	}
	if t.Planned < 0 {
		errs = append(errs, fmt.Errorf("planned: is below 0, found %d", t.Planned))
	}
	if len(t.Metrics) == 0 {
		errs = append(errs, errors.New("metrics: are missing"))
	}
	for i, m := range t.Metrics {
		if m.Name == "" || m.Kind != ABRate && m.Kind != ABMean || m.Better != ABHigher && m.Better != ABLower {
			errs = append(errs, fmt.Errorf("metrics[%d]: needs a name, rate or mean, higher or lower, found %+v", i, m))
		}
	}
	return errors.Join(errs...)
}

// ABEvidence is the sums of an A/B test. It holds nothing but integers, merges by
// addition, and is the same whatever the order. The zero value has seen nothing.
type ABEvidence struct {
	Cells []ABCell `json:"cells"` // by metric and arm
}

// ABCell sums one metric of one arm.
type ABCell struct {
	Metric  string `json:"metric"`
	Arm     string `json:"arm"`
	N       int64  `json:"n"`
	Sum     wide   `json:"sum"` // of values, in millionths
	Squares wide   `json:"squares"`
}

// abUnit is one in an ABCell's fixed point; abMost bounds a value.
const (
	abUnit = 1_000_000
	abMost = 1_000_000_000
)

// Add counts one unit's outcome. Each unit counts once per metric; that is for the
// caller to see to.
// errors: a metric or an arm that the test does not have; a value that is no number,
// beyond a billion, or, for a rate, neither 0 nor 1.
func (e *ABEvidence) Add(t ABTest, metric, arm string, value float64) error {
	at := slices.IndexFunc(t.Metrics, func(m ABMetric) bool { return m.Name == metric })
	switch {
	case at < 0:
		return fmt.Errorf("metric: is none of the test's, found %q", metric)
	case !slices.Contains(t.Arms, arm):
		return fmt.Errorf("arm: is none of the test's, found %q", arm)
	case math.IsNaN(value) || math.Abs(value) > abMost:
		return fmt.Errorf("value: is not a number up to a billion, found %v", value)
	case t.Metrics[at].Kind == ABRate && value != 0 && value != 1:
		return fmt.Errorf("value: of a rate is neither 0 nor 1, found %v", value)
	}
	fixed := int64(math.Round(value * abUnit))
	e.merge(ABCell{Metric: metric, Arm: arm, N: 1, Sum: wideOf(fixed), Squares: squareOf(fixed)})
	return nil
}

// Merge adds the evidence of another control plane.
func (e *ABEvidence) Merge(o ABEvidence) {
	for _, c := range o.Cells {
		e.merge(c)
	}
}

func (e *ABEvidence) merge(c ABCell) {
	at, found := slices.BinarySearchFunc(e.Cells, c, func(a, b ABCell) int {
		return cmp.Or(cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Arm, b.Arm))
	})
	if !found {
		e.Cells = slices.Insert(e.Cells, at, c)
		return
	}
	to := &e.Cells[at]
	to.N, to.Sum, to.Squares = to.N+c.N, to.Sum.plus(c.Sum), to.Squares.plus(c.Squares)
}

func (e ABEvidence) cell(metric, arm string) ABCell {
	for _, c := range e.Cells {
		if c.Metric == metric && c.Arm == arm {
			return c
		}
	}
	return ABCell{Metric: metric, Arm: arm}
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

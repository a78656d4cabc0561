package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// ABAssessment is what an A/B test shows.
type ABAssessment struct {
	// Winner is surely better than every other arm in the first outcome, and surely
	// worse than none in another. Empty: no arm is.
	Winner string `json:"winner,omitempty"`
	Reason string `json:"reason"` // one sentence with numbers
	// Arms by outcome, then arm, in the order of the test.
	Arms []ABResult `json:"arms"`
	// Differences of every two arms, the later less the earlier one.
	Differences []ABDifference `json:"differences"`
	// Verdicts of every arm but the reference, against the reference.
	Verdicts []ABVerdict `json:"verdicts"`
}

// ABResult is one outcome of one arm.
type ABResult struct {
	Outcome string  `json:"outcome"`
	Arm     string  `json:"arm"`
	N       int64   `json:"n"` // units
	Value   float64 `json:"value"`
}

// ABDifference is the difference of two arms with bounds that hold at every look, for
// all pairs and all outcomes together.
type ABDifference struct {
	Outcome  string  `json:"outcome"`
	Arm      string  `json:"arm"`
	Than     string  `json:"than"`
	Estimate float64 `json:"estimate"`
	// Bounded says whether there are bounds: a mean has none before leastForMeans units
	// of both arms.
	Bounded bool    `json:"bounded"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	// Better is the arm that is surely better. Empty: neither is.
	Better string `json:"better,omitempty"`
}

// ABComparison is one outcome of one arm, against the reference.
type ABComparison struct {
	ABResult
	// Difference from the reference. Nil: the arm is the reference.
	Difference *ABDifference `json:"difference,omitempty"`
}

// Compared gives one outcome of every arm, the reference first.
func (a ABAssessment) Compared(outcome string) (arms []ABComparison) {
	for _, r := range a.Arms {
		if r.Outcome == outcome {
			arms = append(arms, ABComparison{ABResult: r})
		}
	}
	for i := range a.Differences {
		d := &a.Differences[i]
		if len(arms) == 0 || d.Outcome != outcome || d.Than != arms[0].Arm {
			continue
		}
		at := slices.IndexFunc(arms, func(c ABComparison) bool { return c.Arm == d.Arm })
		arms[at].Difference = d
	}
	return arms
}

// ABStanding is how an arm stands against the reference.
type ABStanding string

// Standings.
const (
	ABBetter    ABStanding = "better"    // surely, in some outcome, and surely worse in none
	ABWorse     ABStanding = "worse"     // surely, in some outcome, and surely better in none
	ABMixed     ABStanding = "mixed"     // surely better in one and surely worse in another
	ABUndecided ABStanding = "undecided" // nothing is sure
)

// ABVerdict is what is said of an arm.
type ABVerdict struct {
	Arm      string     `json:"arm"`
	Standing ABStanding `json:"standing"`
	Sentence string     `json:"sentence"` // with the bounds of every outcome
}

// Judge says what the evidence of a test is worth.
func (t ABTest) Judge(e ABEvidence) ABAssessment {
	var a ABAssessment
	for _, o := range t.Outcomes {
		cells := make([]ABCell, len(t.Arms))
		for i, arm := range t.Arms {
			cells[i] = e.cell(o.Name, arm)
			a.Arms = append(a.Arms, ABResult{Outcome: o.Name, Arm: arm, N: cells[i].N, Value: cells[i].mean()})
		}
		a.Differences = append(a.Differences, t.differences(o, cells)...)
	}
	for _, arm := range t.Arms[1:] {
		a.Verdicts = append(a.Verdicts, t.verdict(a, arm))
	}
	a.Winner, a.Reason = t.winner(a)
	return a
}

// differences compares every two arms. Outcomes divide the error, and so do pairs.
func (t ABTest) differences(o config.ABOutcome, cells []ABCell) []ABDifference {
	k, planned := float64(len(cells)), float64(t.Planned)
	if planned == 0 {
		planned = 1000
	}
	alpha := t.Error.Fraction() / float64(len(t.Outcomes)) / (k * (k - 1) / 2)
	var ds []ABDifference
	for j := range cells {
		for i := range j {
			d := ABDifference{Outcome: o.Name, Arm: cells[j].Arm, Than: cells[i].Arm, Estimate: cells[j].mean() - cells[i].mean(), Bounded: true}
			if o.Kind != config.ABMean {
				d.Low, d.High = differenceBounds(cells[i].rate(), cells[j].rate(), alpha, planned)
			} else if d.Bounded = min(cells[j].N, cells[i].N) >= leastForMeans; d.Bounded {
				half := meanRadius(cells[j], cells[i], alpha, 2*planned)
				d.Low, d.High = d.Estimate-half, d.Estimate+half
			}
			d.decide(o.Better)
			ds = append(ds, d)
		}
	}
	return ds
}

// rate of what is 0 or 1.
func (c ABCell) rate() rate { return rate{N: c.N, Bad: int64(math.Round(c.Sum.float() / abUnit))} }

// leastForMeans is how many units each arm needs before its variance is known.
const leastForMeans = 100

// meanRadius is half the width of a confidence sequence for the difference of two
// means, of independent units. source: Waudby-Smith, Arbour, Sinha, Kennedy and
// Ramdas 2024, with the variance as seen.
func meanRadius(a, b ABCell, alpha, planned float64) float64 {
	n := float64(a.N + b.N)
	variance := n * (a.variance()/float64(a.N) + b.variance()/float64(b.N))
	return math.Sqrt(variance) * normalBound(n, alpha, bestRho(planned, alpha)) / n
}

func (d *ABDifference) decide(better config.ABDirection) {
	higher, lower := d.Arm, d.Than
	if better == config.ABLower {
		higher, lower = lower, higher
	}
	switch {
	case d.Low > 0:
		d.Better = higher
	case d.High < 0:
		d.Better = lower
	}
}

// String says what is known of the difference.
func (d ABDifference) String() string {
	text := fmt.Sprintf("%s of %s less that of %s is %.4g", d.Outcome, d.Arm, d.Than, d.Estimate)
	switch {
	case !d.Bounded:
		return text + fmt.Sprintf(", with no bounds before %d units of each", leastForMeans)
	case d.Better == "":
		return text + fmt.Sprintf(", surely from %.4g to %.4g", d.Low, d.High)
	}
	return text + fmt.Sprintf(", surely from %.4g to %.4g: %s is better", d.Low, d.High, d.Better)
}

// verdict says how an arm stands against the reference.
func (t ABTest) verdict(a ABAssessment, arm string) ABVerdict {
	var parts []string
	better, worse := false, false
	for _, d := range a.Differences {
		if d.Arm == arm && d.Than == t.Arms[0] {
			parts = append(parts, d.String())
			better, worse = better || d.Better == arm, worse || d.Better == d.Than
		}
	}
	v := ABVerdict{Arm: arm, Standing: ABUndecided}
	switch {
	case better && worse:
		v.Standing = ABMixed
	case better:
		v.Standing = ABBetter
	case worse:
		v.Standing = ABWorse
	}
	v.Sentence = strings.Join(parts, "; ")
	return v
}

// winner is the arm that beats all others in the first outcome and loses to none in
// another.
func (t ABTest) winner(a ABAssessment) (arm, reason string) {
	first := t.Outcomes[0].Name
	wins := map[string]int{}
	var open ABDifference // the widest of those of the first outcome, undecided ones before
	for _, d := range a.Differences {
		if d.Outcome != first {
			continue
		}
		if d.Better != "" {
			wins[d.Better]++
		}
		if open.Arm == "" || d.Better == "" && (open.Better != "" || d.High-d.Low > open.High-open.Low) {
			open = d
		}
	}
	at := slices.IndexFunc(t.Arms, func(arm string) bool { return wins[arm] == len(t.Arms)-1 })
	if at < 0 {
		return "", open.String() + ": " + a.values(first)
	}
	arm = t.Arms[at]
	for _, d := range a.Differences {
		if lost := d.Better != "" && d.Better != arm; lost && (d.Arm == arm || d.Than == arm) {
			return "", fmt.Sprintf("%s is better than every other arm in %s, but not in %s: %s", arm, first, d.Outcome, d)
		}
	}
	return arm, fmt.Sprintf("%s is better than every other arm in %s, at an error of %s over all looks: %s", arm, first, t.Error, a.values(first))
}

// values lists an outcome by arm.
func (a ABAssessment) values(outcome string) string {
	var parts []string
	for _, r := range a.Compared(outcome) {
		parts = append(parts, fmt.Sprintf("%s %.4g of %d", r.Arm, r.Value, r.N))
	}
	return strings.Join(parts, ", ")
}

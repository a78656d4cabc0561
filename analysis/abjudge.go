package analysis

import (
	"fmt"
	"math"
	"slices"
)

// ABAssessment is what an A/B test shows.
type ABAssessment struct {
	// Winner is surely better than every other arm in the first metric. Empty: no arm is.
	Winner string     `json:"winner,omitempty"`
	Reason string     `json:"reason"` // one sentence with numbers
	Arms   []ABResult `json:"arms"`   // by metric, then arm, in the order of the test
	// Differences of every two arms, the later less the earlier one.
	Differences []ABDifference `json:"differences"`
}

// ABResult is one metric of one arm.
type ABResult struct {
	Metric string  `json:"metric"`
	Arm    string  `json:"arm"`
	N      int64   `json:"n"` // units
	Value  float64 `json:"value"`
}

// ABDifference is the difference of two arms with bounds that hold at every look and
// for all pairs of the metric together.
type ABDifference struct {
	Metric   string  `json:"metric"`
	Arm      string  `json:"arm"`
	Than     string  `json:"than"`
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	// Better is the arm that is surely better. Empty: neither is.
	Better string `json:"better,omitempty"`
}

// Judge says what the evidence of a test is worth. t must be without mistakes.
func (t ABTest) Judge(e ABEvidence) ABAssessment {
	var a ABAssessment
	for _, m := range t.Metrics {
		cells := make([]ABCell, len(t.Arms))
		for i, arm := range t.Arms {
			cells[i] = e.cell(m.Name, arm)
			a.Arms = append(a.Arms, ABResult{Metric: m.Name, Arm: arm, N: cells[i].N, Value: cells[i].mean()})
		}
		a.Differences = append(a.Differences, t.differences(m, cells)...)
	}
	a.Winner, a.Reason = t.winner(a)
	return a
}

// differences compares every two arms. The bounds of rates hold for all arms at
// once, so those of their differences do; means divide the error among pairs.
func (t ABTest) differences(m ABMetric, cells []ABCell) []ABDifference {
	type bounds struct{ low, high float64 }
	alpha, k := t.Error.Fraction(), float64(len(cells))
	planned := float64(t.Planned)
	if planned == 0 {
		planned = 1000
	}
	ofArm := make([]bounds, len(cells))
	if m.Kind == ABRate {
		for i, c := range cells {
			ofArm[i].low, ofArm[i].high = rateBounds(rate{N: c.N, Bad: int64(math.Round(c.Sum.float() / abUnit))}, alpha/k, planned)
		}
	}
	var ds []ABDifference
	for j := range cells {
		for i := range j {
			d := ABDifference{Metric: m.Name, Arm: cells[j].Arm, Than: cells[i].Arm, Estimate: cells[j].mean() - cells[i].mean()}
			if m.Kind == ABRate {
				d.Low, d.High = ofArm[j].low-ofArm[i].high, ofArm[j].high-ofArm[i].low
			} else {
				half := meanRadius(cells[j], cells[i], alpha/(k*(k-1)/2), 2*planned)
				d.Low, d.High = d.Estimate-half, d.Estimate+half
			}
			d.decide(m.Better)
			ds = append(ds, d)
		}
	}
	return ds
}

// leastForMeans is how many units each arm needs before its variance is known.
const leastForMeans = 100

// meanRadius is half the width of a confidence sequence for the difference of two
// means, of independent units. source: Waudby-Smith, Arbour, Sinha, Kennedy and
// Ramdas 2024, with the variance as seen.
func meanRadius(a, b ABCell, alpha, planned float64) float64 {
	if min(a.N, b.N) < leastForMeans {
		return math.MaxFloat64
	}
	n := float64(a.N + b.N)
	variance := n * (a.variance()/float64(a.N) + b.variance()/float64(b.N))
	return math.Sqrt(variance) * normalBound(n, alpha, bestRho(planned, alpha)) / n
}

func (d *ABDifference) decide(better ABDirection) {
	higher, lower := d.Arm, d.Than
	if better == ABLower {
		higher, lower = lower, higher
	}
	switch {
	case d.Low > 0:
		d.Better = higher
	case d.High < 0:
		d.Better = lower
	}
}

// winner is the arm that beats all others in the first metric.
func (t ABTest) winner(a ABAssessment) (arm, reason string) {
	first := t.Metrics[0].Name
	wins := map[string]int{}
	widest := ABDifference{}
	for _, d := range a.Differences {
		if d.Metric != first {
			continue
		}
		if d.Better != "" {
			wins[d.Better]++
		}
		if widest.Arm == "" || d.Better == "" && d.High-d.Low > widest.High-widest.Low {
			widest = d
		}
	}
	at := slices.IndexFunc(t.Arms, func(arm string) bool { return wins[arm] == len(t.Arms)-1 })
	if at >= 0 {
		return t.Arms[at], fmt.Sprintf("%s is better than every other arm in %s, at an error of %s over all looks: %s",
			t.Arms[at], first, t.Error, a.values(first))
	}
	if widest.High-widest.Low >= math.MaxFloat64 {
		return "", fmt.Sprintf("%s of %s and %s cannot be compared yet: means need %d units each, there are %s",
			first, widest.Arm, widest.Than, leastForMeans, a.values(first))
	}
	return "", fmt.Sprintf("%s of %s less that of %s is %.4g, surely from %.4g to %.4g: %s",
		first, widest.Arm, widest.Than, widest.Estimate, widest.Low, widest.High, a.values(first))
}

// values lists a metric by arm.
func (a ABAssessment) values(metric string) (text string) {
	for _, r := range a.Arms {
		if r.Metric == metric {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%s %.4g of %d", r.Arm, r.Value, r.N)
		}
	}
	return text
}

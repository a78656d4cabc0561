package analysis

// Test.Method of shadows.
const (
	methodPaired = "paired" // McNemar's, of requests that stable answered twice
	methodDrift  = "score-drift"
)

// driftBins is the number of equal parts that scores from 0 to 1 fall into.
const driftBins = 20

// drift is the evidence that the scores of two versions are distributed otherwise,
// by more than a total variation. It bets on the bins in which the shadow had more
// scores than stable so far: f, half the difference of what the two scores of a
// request bet, has a mean of at most the total variation, whatever the bet, so the
// wealth of 1 + λ(f - eps) is a supermartingale. source: Shekhar and Ramdas 2023
// (research: statistics §2e). It stays valid while the scores of both drift alike.
type drift struct {
	N      int64             `json:"n"`
	Stable [driftBins]int64  `json:"stable"`
	Shadow [driftBins]int64  `json:"shadow"`
	Wealth [driftStakes]nats `json:"wealth"`
}

const driftStakes = 5

// stakes are the λ that wealth is averaged over.
func stakes() [driftStakes]float64 { return [driftStakes]float64{.05, .1, .2, .4, .8} }

// add weighs a pair of scores by what was known before it, and then learns it.
func (d drift) add(most, stable, shadow float64) drift {
	b, c := binOf(stable), binOf(shadow)
	f := (d.bet(c) - d.bet(b)) / 2
	for k, stake := range stakes() {
		d.Wealth[k] = d.Wealth[k].plus(fixed(ln(1 + float64(stake*(f-most)))))
	}
	d.N++
	d.Stable[b]++
	d.Shadow[c]++
	return d
}

// bet is from -1 to 1: whether the shadow has more scores in a bin, or stable.
func (d *drift) bet(bin int) float64 {
	return float64(d.Shadow[bin]-d.Stable[bin]) / float64(d.Shadow[bin]+d.Stable[bin]+1)
}

// binOf puts what is beyond 0 or 1 at the end.
func binOf(score float64) int {
	if !(score > 0) { // also what is no number
		return 0
	}
	return int(min(score*driftBins, driftBins-1))
}

func (d *drift) logE() float64 { return logMean(d.Wealth[:]) }

package analysis

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// published is one number of research: statistics §4, and what this code makes of it.
type published struct {
	of     string
	want   float64
	within float64 // half of the last digit that was printed, or a millionth
	got    func() float64
	// left says why a number is not computed. Empty: it is.
	left string
}

// Every number of §4 stands here, by its source: those that the engine's own methods
// give, then those of methods that Sluice does without on purpose, each with the reason.
// The latter are computed by formulas of this test, so that the reason is given of
// the right thing.
func publishedNumbers() map[string][]published {
	return map[string][]published{
		"safestats 0.8.7, logrankSingleEExact (errors against stable)":    ofSafestats(),
		"ssrm, its own example (split integrity)":                         ofSsrm(),
		"confseq 0.0.11, its own tests (bounds of rates, A/B tests)":      ofConfseq(),
		"own golden values (errors, limits, trips, pods' ranks)":          slices.Concat(ofOdds(), ofLimits(), ofRanks()),
		"confseq 0.0.11, quantiles: pods are compared, not requests":      ofQuantiles(),
		"confseq 0.0.11, a law of the iterated logarithm: pods, likewise": ofIteratedLogarithms(),
		"Armitage, McPherson and Rowe 1969: what peeking costs":           ofPeeking(),
		"Pocock 1977, O'Brien and Fleming 1979: looks planned ahead":      ofPlannedLooks(),
		"quantilecs, data of Howard and Ramdas 2022, figure 6": {
			{of: "mean requests, p50 of uniforms .05 apart", want: 4859, left: whyPodsAlone},
			{of: "median requests, p50", want: 4392, left: whyPodsAlone},
			{of: "mean requests, p90", want: 1733, left: whyPodsAlone},
			{of: "median requests, p90", want: 1525, left: whyPodsAlone},
		},
	}
}

// Identical pods with queues of their own were blamed in 6 to 68% of cases by tests of
// single requests (§0). The simulation that these rows are of takes ten seconds a row.
const whyPodsAlone = "a test of single requests' quantiles: Sluice's unit of latency is the pod, whose rows are above"

func TestEveryPublishedNumberIsReproduced(t *testing.T) {
	t.Parallel()
	rows := 0
	for source, numbers := range publishedNumbers() {
		for _, n := range numbers {
			rows++
			if n.left != "" {
				require.Nil(t, n.got, "%s, %s", source, n.of)
				continue
			}
			assert.InDelta(t, n.want, n.got(), max(n.within, 1e-6), "%s: %s", source, n.of)
		}
	}
	require.Equal(t, 54, rows, "rows are added here, and not taken away")
}

// known is a number that is at hand already.
func known(x float64) func() float64 { return func() float64 { return x } }

// ratio is the log likelihood ratio of one stratum at odds psi to odds of one.
func ratio(s stratum, psi float64) float64 {
	d, informative := newDraw(s)
	if !informative {
		return 0
	}
	return d.log(ln(psi)) - d.log(0)
}

func ofSafestats() []published {
	stable := [][2]int64{{5, 1}, {4, 1}, {3, 0}, {3, 1}, {2, 0}, {1, 1}} // requests, errors
	candidate := [][2]int64{{5, 0}, {5, 0}, {4, 1}, {2, 0}, {2, 1}, {0, 0}}
	e := func(psi float64) func() float64 {
		sum := 0.0
		for i := range stable {
			sum += ratio(stratum{stable: sumsOf(stable[i][0], stable[i][1]), candidate: sumsOf(candidate[i][0], candidate[i][1])}, psi)
		}
		return known(math.Exp(sum))
	}
	return []published{
		{of: "e at odds of .7", want: 1.116161, got: e(.7)},
		{of: "e at odds of 1/.7", want: .7665818, got: e(1 / .7)},
	}
}

func ofSsrm() []published {
	drawn, declared := 0.0, 0.0
	theta, prior := []float64{.4, .4, .2}, []float64{1, 1, 1}
	for _, row := range [][]int64{{20, 17, 9}, {18, 21, 8}, {4, 6, 4}, {18, 19, 11}} {
		d, e := logMarginals(row, theta, prior)
		coefficient := lnRising(1, row[0]+row[1]+row[2])
		for i, n := range row {
			coefficient -= lnRising(1, n)
			prior[i] += float64(n)
		}
		drawn, declared = drawn+d+coefficient, declared+e+coefficient
	}
	return []published{
		{of: "log marginal, unequal", want: -19.96484521, got: known(drawn)},
		{of: "log marginal, as declared", want: -15.78103123, got: known(declared)},
		{of: "log Bayes factor", want: -4.18381398, got: known(drawn - declared)},
	}
}

func sumsOf(requests, errors int64) sums { return sums{requests: requests, errors: errors} }

func ofOdds() []published {
	s := stratum{stable: sumsOf(9500, 10), candidate: sumsOf(500, 5)}
	logE := func(s stratum, null float64) func() float64 {
		return func() float64 {
			var o odds
			grid := newOddsGrid(null, 2)
			o.add(&grid, s)
			return o.Harm.logE(natsLimit)
		}
	}
	at := func(psi float64) func() float64 { return func() float64 { return ratio(s, psi) } }
	return []published{
		{of: "5 of 500 against 10 of 9,500, null 1", want: 4.054067, got: logE(s, 1)},
		{of: "likewise, null 1.5", want: 2.656122, got: logE(s, 1.5)},
		{of: "3 of 100 against none of 1,900", want: 7.239906, got: logE(stratum{stable: sumsOf(1900, 0), candidate: sumsOf(100, 3)}, 1)},
		{of: "log ratio of the first at odds of 2", want: 2.734336, got: at(2)},
		{of: "at 5", want: 5.317898, got: at(5)},
		{of: "at 20", want: 5.008503, got: at(20)},
	}
}

func ofLimits() []published {
	grid := newLimitGrid(.01)
	var l limit
	l.add(&grid, rate{N: 150, Bad: 8}, rate{N: 400})
	every := shiftsOf()
	return []published{
		{of: "8 of 150 above 1%", want: 4.972375, got: known(l.Harm.logE(natsLimit))},
		{of: "8 of 150 above 1%, of a trip", want: 4.972375, got: known(newWager(.01, every[:]).logE(8, 150))},
		{of: "none of 400 below 1%", want: 3.068929, got: known(l.Safe.logE(natsLimit))},
	}
}

// loadsOf gives pods 100 requests each, of which so many are slow.
func loadsOf(candidates int, slow ...int64) []load {
	ls := make([]load, len(slow))
	for i, s := range slow {
		ls[i] = load{pod: string(rune('a' + i)), n: 100, slow: s}
		if i < candidates {
			ls[i].side = ofCandidate
		}
	}
	return ls
}

func ofRanks() (rows []published) {
	twenty := make([]int64, 20)
	for i := range twenty {
		twenty[i] = int64(20 - i)
	}
	for _, c := range []struct {
		of    string
		loads []load
		want  [slopes]float64
	}{
		{"1 of 20 on top", loadsOf(1, twenty...), [slopes]float64{.454366, .822167, 1.349120, 1.927805, 2.432204}},
		{"2 of 4 both on top", loadsOf(2, 4, 3, 2, 1), [slopes]float64{.575411, .982862, 1.437091, 1.715263, 1.786897}},
	} {
		var past [slopes]nats
		addBlock(&past, c.loads, 1, 0)
		for k, want := range c.want {
			rows = append(rows, published{of: sprintf("%s, slope %g", c.of, slopesOf()[k]), want: want, got: known(past[k].float())})
		}
	}
	return rows
}

func ofConfseq() []published {
	low, high := rateBounds(rate{N: 1000, Bad: 700}, .05, 100)
	fewLow, fewHigh := rateBounds(rate{N: 50, Bad: 15}, .05, 50)
	oneSided := func(s float64) float64 { return oneSidedNormal(s, 100, bestRho(100, .1)) }
	edge := func(from float64, excluded func(float64) bool) float64 { return turn(from, 0, excluded) }
	return []published{
		{of: "beta_binomial_log_mixture(10, 100), two-sided", want: -.6941012, got: known(betaBinomial(10, 100, 100, .2, .8))},
		{of: "likewise, one-sided", want: -.07134019, got: known(oneSidedBetaBinomial(10, 100, 100, .2, .8))},
		{of: "beta_binomial_mixture_bound(100)", want: 31.4308, within: 5e-5, got: func() float64 {
			return edge(500, func(s float64) bool { return betaBinomial(s, 100, 100, .2, .8) >= -math.Log(.05) })
		}},
		{of: "bernoulli_confidence_interval(700, 1000), low", want: .651629, got: known(low)},
		{of: "high", want: .745949, got: known(high)},
		{of: "bernoulli_confidence_interval(15, 50), low", want: .129556, got: known(fewLow)},
		{of: "high", want: .511896, got: known(fewHigh)},
		{of: "rho that is best at 100", want: 12.60056, within: 5e-6, got: known(bestRho(100, .05))},
		{of: "normal_log_mixture(10, 100)", want: -.6510052, got: known(twoSidedNormal(10, 100, bestRho(100, .05)))},
		{of: "likewise, one-sided", want: -.06502391, got: known(oneSided(10))},
		{of: "normal_mixture_bound(100), two-sided", want: 30.35209, within: 5e-6, got: known(normalBound(100, .05, bestRho(100, .05)))},
		{of: "normal_mixture_bound(100), one-sided", want: 27.66071, within: 5e-6, got: func() float64 {
			return edge(100, func(s float64) bool { return oneSided(s) >= -math.Log(.05) })
		}},
	}
}

func ofQuantiles() []published {
	return []published{
		{of: "QuantileABTest, p50 moved by 70", want: .814704, got: func() float64 { return pQuantiles(.5, 70) }},
		{of: "by 85", want: .0838055, got: func() float64 { return pQuantiles(.5, 85) }},
		{of: "by 100", want: .0054947, got: func() float64 { return pQuantiles(.5, 100) }},
		{of: "p90 moved by 55", want: .0340463, got: func() float64 { return pQuantiles(.9, 55) }},
	}
}

func ofIteratedLogarithms() []published {
	return []published{
		{of: "empirical_process_lil_bound(1000, .05, 100, .85)", want: .08204769, got: func() float64 { return empiricalBound(1000, .05, 100, .85) }},
		{of: "double_stitching_bound(.9, 1000, .05, 100)", want: 43.72119, within: 5e-6, got: func() float64 { return stitchedBound(.9, 1000, .05, 100) }},
	}
}

// A test at a fixed level that is looked at again and again: what e-values are there to
// avoid. `make calibrate` shows the same on a ramp (T2).
func ofPeeking() (rows []published) {
	for _, r := range []struct {
		looks int
		want  float64
	}{{5, .142}, {10, .193}, {20, .248}, {50, .320}} {
		rows = append(rows, published{
			of: sprintf("error of a test at 5%% after %d looks", r.looks), want: r.want, within: 5e-4,
			got: func() float64 { return errorOfLooks(r.looks, func(int) float64 { return 1.959964 }) },
		})
	}
	return rows
}

// Bounds for a number of looks that is planned ahead: a rollout is looked at four times
// a second, for as long as it takes.
func ofPlannedLooks() (rows []published) {
	for _, r := range []struct {
		of    string
		looks int
		bound func(most float64, look, looks int) float64
		want  float64
	}{
		{"Pocock", 5, equalBounds, 2.413},
		{"Pocock", 10, equalBounds, 2.555},
		{"O'Brien-Fleming", 5, fallingBounds, 2.040},
		{"O'Brien-Fleming", 10, fallingBounds, 2.087},
	} {
		rows = append(rows, published{
			of: sprintf("%s, %d looks", r.of, r.looks), want: r.want, within: 5e-4,
			got: func() float64 {
				return turn(1, 4, func(most float64) bool { // the least bound whose error is 5%
					return errorOfLooks(r.looks, func(look int) float64 { return r.bound(most, look, r.looks) }) > .05
				})
			},
		})
	}
	return rows
}

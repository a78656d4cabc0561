package analysis

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func sumsOf(requests, errors int64) sums { return sums{requests: requests, errors: errors} }

// ratio is the log likelihood ratio of one stratum at odds psi to odds of one.
func ratio(s stratum, psi float64) float64 {
	d, informative := newDraw(s)
	if !informative {
		return 0
	}
	return d.log(ln(psi)) - d.log(0)
}

// source: R package safestats 0.8.7, logrankSingleEExact.
func TestErrorsAgainstStableAgreeWithSafestats(t *testing.T) {
	stable := [][2]int64{{5, 1}, {4, 1}, {3, 0}, {3, 1}, {2, 0}, {1, 1}} // requests, errors
	candidate := [][2]int64{{5, 0}, {5, 0}, {4, 1}, {2, 0}, {2, 1}, {0, 0}}
	for psi, want := range map[float64]float64{.7: 1.116161, 1 / .7: .7665818} {
		sum := 0.0
		for i := range stable {
			sum += ratio(stratum{stable: sumsOf(stable[i][0], stable[i][1]), candidate: sumsOf(candidate[i][0], candidate[i][1])}, psi)
		}
		assert.InDelta(t, want, math.Exp(sum), 1e-6, "psi %v", psi)
	}
}

func TestErrorsAgainstStableHaveTheirGoldenValues(t *testing.T) {
	s := stratum{stable: sumsOf(9500, 10), candidate: sumsOf(500, 5)}
	for psi, want := range map[float64]float64{2: 2.734336, 5: 5.317898, 20: 5.008503} {
		assert.InDelta(t, want, ratio(s, psi), 1e-6, "psi %v", psi)
	}
	for _, test := range []struct {
		name string
		s    stratum
		null float64
		want float64
	}{
		{"5 of 500 against 10 of 9,500, null 1", s, 1, 4.054067},
		{"5 of 500 against 10 of 9,500, null 1.5", s, 1.5, 2.656122},
		{"3 of 100 against none of 1,900", stratum{stable: sumsOf(1900, 0), candidate: sumsOf(100, 3)}, 1, 7.239906},
	} {
		t.Run(test.name, func(t *testing.T) {
			var o odds
			grid := newOddsGrid(test.null, 2)
			o.add(&grid, test.s)
			assert.InDelta(t, test.want, o.Harm.logE(natsLimit), 1e-6)
		})
	}
}

func TestLimitsHaveTheirGoldenValues(t *testing.T) {
	grid := newLimitGrid(.01)
	var l limit
	l.add(&grid, rate{N: 150, Bad: 8}, rate{N: 400})
	assert.InDelta(t, 4.972375, l.Harm.logE(natsLimit), 1e-6)
	assert.InDelta(t, 3.068929, l.Safe.logE(natsLimit), 1e-6)
}

// source: Python package ssrm, its own example.
func TestSplitIntegrityAgreesWithSsrm(t *testing.T) {
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
	assert.InDelta(t, -19.96484521, drawn, 1e-6)
	assert.InDelta(t, -15.78103123, declared, 1e-6)
	assert.InDelta(t, -4.18381398, drawn-declared, 1e-6)
}

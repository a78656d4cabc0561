package analysis

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The values of these tests are those of confseq's own tests, 0.0.11: they hold the
// mixtures that bounds are made of against an implementation that is not ours.

func TestBoundsOfAMeanAgreeWithConfseq(t *testing.T) {
	require.InDelta(t, 12.60056, bestRho(100, .05), 1e-5)
	require.InDelta(t, 30.35209, normalBound(100, .05, bestRho(100, .05)), 1e-5)
	require.InDelta(t, .05, math.Exp(-normalMixture(normalBound(100, .05, 12.6), 100, 12.6)), 1e-9, "the bound is where the mixture is 1/alpha")
	require.InDelta(t, -0.6510052, normalMixture(10, 100, bestRho(100, .05)), 1e-6)
}

// normalMixture is the log of the two-sided mixture that normalBound is the edge of.
func normalMixture(s, v, rho float64) float64 {
	return math.Log(rho/(v+rho))/2 + s*s/(2*(v+rho))
}

// One side of the same mixtures: the half of the prior on it, counted twice.
func TestOneSideOfTheMixturesAgreesWithConfseq(t *testing.T) {
	rho := bestRho(100, .1)
	oneSided := func(s float64) float64 {
		return normalMixture(s, 100, rho) + math.Log(math.Erfc(-s/math.Sqrt(2*(100+rho))))
	}
	require.InDelta(t, -0.06502391, oneSided(10), 1e-6)
	bound := turn(100, 0, func(s float64) bool { return oneSided(s) >= -math.Log(.05) })
	require.InDelta(t, 27.66071, bound, 1e-5)
}

func TestTheBoundOfARateIsWhereItsMixtureIsEnough(t *testing.T) {
	bound := turn(500, 0, func(s float64) bool { return betaBinomial(s, 100, 100, .2, .8) >= -math.Log(.05) })
	require.InDelta(t, 31.4308, bound, 1e-4)
}

// Two samples differ at a quantile if no value can be that quantile of both. The rows
// are of confseq's QuantileABTest, with samples 1 to 1000 and those moved.
func TestQuantilesOfTwoSamplesAgreeWithConfseq(t *testing.T) {
	for _, row := range []struct {
		p     float64
		moved int
		want  float64
	}{{.5, 70, .814704}, {.5, 85, .0838055}, {.5, 100, .0054947}, {.9, 55, .0340463}} {
		t.Run(fmt.Sprintf("p%g moved by %d", 100*row.p, row.moved), func(t *testing.T) {
			least := math.Inf(1)
			for x := -2000; x <= 3000; x++ {
				least = min(least, atQuantile(row.p, x)+atQuantile(row.p, x-row.moved))
			}
			require.InDelta(t, row.want, min(1, math.Exp(-least)), row.want*1e-5)
		})
	}
}

// atQuantile is the evidence against x being a quantile of 1 to 1000: of the samples,
// those below x and, at most, x itself are below it.
func atQuantile(p float64, x int) float64 {
	const n = 1000
	evidence := func(below float64) float64 {
		return betaBinomial(below-p*n, p*(1-p)*n, 100*p*(1-p), p, 1-p)
	}
	strictly, atMost := float64(min(max(x-1, 0), n)), float64(min(max(x, 0), n))
	return evidence(min(max(p*n, strictly), atMost))
}

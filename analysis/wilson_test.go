package analysis_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
)

func TestWilsonsIntervalHoldsTheShare(t *testing.T) {
	for _, test := range []struct {
		k, n      int
		low, high float64
	}{{0, 0, 0, 1}, {0, 100, 0, 0.037}, {50, 100, 0.404, 0.596}, {100, 100, 0.963, 1}} {
		low, high := analysis.Wilson(test.k, test.n)
		require.InDelta(t, test.low, low, 0.001)
		require.InDelta(t, test.high, high, 0.001)
	}
}

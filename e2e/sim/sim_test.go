package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/world"
)

// All harmful versions of `make sim`, which are quick, and one in 75 of the
// healthy ones.
func TestFewTrialsDoNotContradictTheLimits(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			results, err := tryAll(s, 1, s.trials/divisor(s))
			require.NoError(t, err)
			sum := summarise(s, results)
			t.Log(sum)
			for _, err := range sum.broken(plausible) {
				t.Error(err)
			}
		})
	}
}

func divisor(s scenario) int {
	if s.limits.asked {
		return 75
	}
	return 1
}

func TestEqualSeedsGiveEqualRuns(t *testing.T) {
	s := scenarios()[0]
	first, err := s.try(7)
	require.NoError(t, err)
	again, err := s.try(7)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	other, err := s.try(8)
	require.NoError(t, err)
	assert.NotEqual(t, first.Truth, other.Truth)
}

func TestLimitsThatDoNotHoldAreNamed(t *testing.T) {
	dawn := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	back := world.Result{
		Outcome: canary.OutcomeRolledBack, Ended: dawn.Add(time.Minute),
		Trips: []canary.Trip{{At: dawn.Add(3 * time.Second)}},
		Truth: world.Truth{FirstCandidate: dawn, LastCandidate: dawn.Add(4 * time.Second), Hurt: 9},
	}
	for _, test := range []struct {
		name    string
		limits  limits
		results []world.Result
		want    []string
	}{
		{
			"healthy versions that are rolled back",
			limits{rolledBack: 0.01, promoted: 0.99, tripped: 0.5, twice: 0.1, asked: true},
			[]world.Result{back},
			[]string{
				"x: rolled back 1 of 1 (100.00%, 95% in 2.50–100.00%), at most 1.0% allowed",
				"x: not promoted 1 of 1 (100.00%, 95% in 2.50–100.00%), at most 1.0% allowed",
				"x: tripped 1 of 1 (100.00%, 95% in 2.50–100.00%), at most 50.0% allowed",
			},
		},
		{
			"too few trials for a bound",
			limits{rolledBack: 0.01, promoted: 0.99, asked: true},
			[]world.Result{{Outcome: canary.OutcomePromoted}},
			[]string{"x: rolled back 0 of 1 (0.00%, 95% in 0.00–97.50%), at most 1.0% allowed"},
		},
		{
			"harmful versions that hurt for too long",
			limits{exposure: time.Second, worstExposure: 2 * time.Second, failed: 4},
			[]world.Result{back},
			[]string{
				"x: exposure at the median 4s, at most 1s allowed",
				"x: worst exposure 4s, at most 2s allowed",
				"x: 9 failed requests at the median, at most 4 allowed",
			},
		},
		{
			"harmful versions that are promoted",
			limits{exposure: time.Second},
			[]world.Result{{Outcome: canary.OutcomePromoted}},
			[]string{"x: 1 of 1 harmful versions were not rolled back"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := scenario{name: "x", limits: test.limits, world: faulty(50, world.Fault{})}
			var got []string
			for _, err := range summarise(s, test.results).broken(proven) {
				got = append(got, err.Error())
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// source: Clopper and Pearson's intervals as any table has them.
func TestBounds(t *testing.T) {
	for _, test := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 10, 0, 0.3085},
		{10, 10, 0.6915, 1},
		{5, 10, 0.1871, 0.8129},
		{0, 3000, 0, 0.00123},
		{20, 1000, 0.01226, 0.03072},
	} {
		low, high := bounds(test.k, test.n)
		assert.InDelta(t, test.low, low, 6e-5, "%d of %d", test.k, test.n)
		assert.InDelta(t, test.high, high, 6e-5, "%d of %d", test.k, test.n)
	}
}

package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// source: confseq 0.0.11, unit tests of beta_binomial_log_mixture and
// bernoulli_confidence_interval.
func TestBoundsOfARateAgreeWithConfseq(t *testing.T) {
	require.InDelta(t, -0.6941012, betaBinomial(10, 100, 100, .2, .8), 1e-6)
	low, high := rateBounds(rate{N: 1000, Bad: 700}, .05, 100)
	require.InDelta(t, .651629, low, 1e-6)
	require.InDelta(t, .745949, high, 1e-6)
	low, high = rateBounds(rate{N: 50, Bad: 15}, .05, 50)
	require.InDelta(t, .129556, low, 1e-6)
	require.InDelta(t, .511896, high, 1e-6)
	low, high = rateBounds(rate{}, .05, 50)
	require.Equal(t, []float64{0, 1}, []float64{low, high})
	low, high = rateBounds(rate{N: 100}, .05, 50)
	require.Zero(t, low)
	require.Less(t, high, .1)
	low, high = rateBounds(rate{N: 100, Bad: 100}, .05, 50)
	require.Greater(t, low, .9)
	require.InDelta(t, 1, high, 0)
}

func clicks() ABTest {
	return ABTest{Arms: []string{"a", "b", "c"}, Error: fivePercent, Metrics: []ABMetric{{"clicks", ABRate, ABHigher}, {"seconds", ABMean, ABLower}}}
}

// tried feeds units until somebody wins in the first metric, looking all the time.
func tried(t *testing.T, test ABTest, seed uint64, units int, value func(*rand.Rand, int) float64) ABAssessment {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 11))
	var e ABEvidence
	var a ABAssessment
	for unit := range units {
		arm := rng.IntN(len(test.Arms))
		require.NoError(t, e.Add(test, test.Metrics[0].Name, test.Arms[arm], value(rng, arm)))
		if unit%20 == 19 {
			if a = test.Judge(e); a.Winner != "" {
				return a
			}
		}
	}
	return a
}

func coin(chances ...float64) func(*rand.Rand, int) float64 {
	return func(rng *rand.Rand, arm int) float64 { return float64(rateOf(rng.Float64() < chances[arm]).Bad) }
}

func TestTheBestArmWins(t *testing.T) {
	a := tried(t, clicks(), 1, 20_000, coin(.1, .1, .2))
	require.Equal(t, "c", a.Winner, a.Reason)
	require.Contains(t, a.Reason, "c is better than every other arm in clicks, at an error of 5% over all looks")

	test := clicks()
	test.Metrics = test.Metrics[1:]
	a = tried(t, test, 2, 20_000, func(rng *rand.Rand, arm int) float64 {
		return []float64{3, 2, 3}[arm] * rng.ExpFloat64()
	})
	require.Equal(t, "b", a.Winner, a.Reason, "fewer seconds are better")
}

func TestEqualArmsHardlyEverHaveAWinner(t *testing.T) {
	const runs = 60
	for name, test := range map[string]struct {
		metric int
		value  func(*rand.Rand, int) float64
	}{
		"rates": {0, coin(.3, .3, .3)},
		"means": {1, func(rng *rand.Rand, _ int) float64 { return rng.ExpFloat64() }},
	} {
		t.Run(name, func(t *testing.T) {
			ab := clicks()
			ab.Metrics = ab.Metrics[test.metric : test.metric+1]
			n := 0
			for seed := range uint64(runs) {
				if a := tried(t, ab, 100+seed, 3000, test.value); a.Winner != "" {
					n++
				}
			}
			t.Logf("%d of %d had a winner at 5%%", n, runs)
			assert.LessOrEqual(t, n, runs*5/100)
		})
	}
}

func TestBoundsOfDifferencesHoldAtEveryLook(t *testing.T) {
	const runs = 60
	test := clicks()
	test.Arms = test.Arms[:2]
	for i, truth := range []float64{.05, -.5} {
		missed := 0
		for seed := range uint64(runs) {
			rng := rand.New(rand.NewPCG(seed, 12))
			var e ABEvidence
			ok := true
			for unit := range 3000 {
				arm := rng.IntN(2)
				value := coin(.2, .25)(rng, arm)
				if i == 1 {
					value = rng.ExpFloat64() * []float64{1, .5}[arm]
				}
				require.NoError(t, e.Add(test, test.Metrics[i].Name, test.Arms[arm], value))
				if unit%20 == 19 {
					d := test.Judge(e).Differences[i]
					ok = ok && d.Low <= truth && truth <= d.High
				}
			}
			missed += int(rateOf(!ok).Bad)
		}
		t.Logf("%s: %d of %d missed the truth at some look", test.Metrics[i].Name, missed, runs)
		assert.LessOrEqual(t, missed, runs*5/100)
	}
}

func TestAnUndecidedTestSaysHowWideItsBoundsAre(t *testing.T) {
	a := clicks().Judge(ABEvidence{})
	require.Empty(t, a.Winner)
	require.Contains(t, a.Reason, "clicks of b less that of a is 0, surely from -1 to 1: a 0 of 0, b 0 of 0, c 0 of 0")
	test := clicks()
	test.Metrics = test.Metrics[1:]
	require.Contains(t, test.Judge(ABEvidence{}).Reason, "means need 100 units each")
	_, err := json.Marshal(test.Judge(ABEvidence{}))
	require.NoError(t, err, "nothing in it is infinite")
}

func TestWhatIsNoOutcomeIsRefused(t *testing.T) {
	var e ABEvidence
	for _, test := range []struct {
		metric, arm string
		value       float64
		fact        string
	}{
		{"likes", "a", 1, `metric: is none of the test's, found "likes"`},
		{"clicks", "z", 1, `arm: is none of the test's, found "z"`},
		{"clicks", "a", .5, "value: of a rate is neither 0 nor 1, found 0.5"},
		{"seconds", "a", math.NaN(), "value: is not a number"},
		{"seconds", "a", 1e10, "value: is not a number up to a billion"},
	} {
		require.ErrorContains(t, e.Add(clicks(), test.metric, test.arm, test.value), test.fact)
	}
	require.Empty(t, e.Cells)
	err := ABTest{Arms: []string{"a", "a"}, Planned: -1, Metrics: []ABMetric{{}}}.Check()
	for _, fact := range []string{"arms: ", "error: ", "planned: ", "metrics[0]: "} {
		require.ErrorContains(t, err, fact)
	}
	require.NoError(t, clicks().Check())
}

func TestOutcomesSumToTheSameBytesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 30).Draw(t, "values")
		var forward, backward, left, right ABEvidence
		for i := range values {
			require.NoError(t, forward.Add(clicks(), "seconds", "a", values[i]))
			require.NoError(t, backward.Add(clicks(), "seconds", "a", values[len(values)-1-i]))
			half := &left
			if i%2 == 0 {
				half = &right
			}
			require.NoError(t, half.Add(clicks(), "seconds", "a", values[i]))
		}
		require.NoError(t, left.Add(clicks(), "seconds", "b", -1e-6))
		require.InDelta(t, -1, left.cell("seconds", "b").Sum.float(), 0)
		left.Cells = slices.DeleteFunc(left.Cells, func(c ABCell) bool { return c.Arm == "b" })
		right.Merge(left)
		require.Equal(t, forward, backward)
		require.Equal(t, forward, right)
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		require.InDelta(t, sum/float64(len(values)), forward.Cells[0].mean(), 1e-5)
	})
}

package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/config"
)

func TestBoundsOfARateReachItsEnds(t *testing.T) {
	low, high := rateBounds(rate{}, .05, 50)
	require.Equal(t, []float64{0, 1}, []float64{low, high})
	low, high = rateBounds(rate{N: 100}, .05, 50)
	require.Zero(t, low)
	require.Less(t, high, .1)
	low, high = rateBounds(rate{N: 100, Bad: 100}, .05, 50)
	require.Greater(t, low, .9)
	require.InDelta(t, 1, high, 0)
}

func clicks() ABTest {
	return ABTest{Arms: []string{"a", "b", "c"}, Error: 2 * fivePercent, Within: time.Hour, Outcomes: []config.ABOutcome{
		{Name: "clicks", Kind: config.ABRate, Better: config.ABHigher, Missing: config.ABZero},
		{Name: "seconds", Kind: config.ABMean, Better: config.ABLower, Missing: config.ABIgnored},
	}}
}

// tried feeds units until somebody wins in the first metric, looking all the time.
func tried(t *testing.T, test ABTest, seed uint64, units int, value func(*rand.Rand, int) float64) ABAssessment {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 11))
	var e ABEvidence
	var a ABAssessment
	for unit := range units {
		arm := rng.IntN(len(test.Arms))
		e.Add(test.Outcomes[0].Name, test.Arms[arm], fixedOf(value(rng, arm)))
		if unit%150 == 149 {
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
	require.Contains(t, a.Reason, "c is better than every other arm in clicks, at an error of 10% over all looks")

	test := clicks()
	test.Outcomes, test.Error = test.Outcomes[1:], fivePercent
	a = tried(t, test, 2, 20_000, func(rng *rand.Rand, arm int) float64 {
		return []float64{3, 2, 3}[arm] * rng.ExpFloat64()
	})
	require.Equal(t, "b", a.Winner, a.Reason, "fewer seconds are better")
}

func TestEqualArmsHardlyEverHaveAWinner(t *testing.T) {
	const runs = 40
	for name, test := range map[string]struct {
		metric int
		value  func(*rand.Rand, int) float64
	}{
		"rates": {0, coin(.3, .3, .3)},
		"means": {1, func(rng *rand.Rand, _ int) float64 { return rng.ExpFloat64() }},
	} {
		t.Run(name, func(t *testing.T) {
			ab := clicks()
			ab.Outcomes, ab.Error = ab.Outcomes[test.metric:test.metric+1], fivePercent
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

// Two bounds that share the error are wider than one of the difference.
func TestADifferenceIsBoundedByBothArmsTogether(t *testing.T) {
	a, b := rate{N: 1000, Bad: 200}, rate{N: 1000, Bad: 230}
	low, high := differenceBounds(a, b, .025, 1000)
	lowA, highA := rateBounds(a, .0125, 1000)
	lowB, highB := rateBounds(b, .0125, 1000)
	t.Logf("from %.4f to %.4f; by two bounds from %.4f to %.4f", low, high, lowB-highA, highB-lowA)
	require.Less(t, high-low, .75*((highB-lowA)-(lowB-highA)))
	backLow, backHigh := differenceBounds(b, a, .025, 1000)
	require.InDelta(t, -high, backLow, 1e-6)
	require.InDelta(t, -low, backHigh, 1e-6)
	low, high = differenceBounds(rate{}, rate{}, .05, 1000)
	require.Equal(t, []float64{-1, 1}, []float64{low, high}, "nothing is known")
	low, high = differenceBounds(rate{}, rate{N: 5}, .05, 1000)
	require.InDelta(t, -1, low, 0)
	require.Less(t, high, .99, "b is seldom")
	low, high = differenceBounds(rate{N: 500}, rate{N: 500, Bad: 500}, .05, 1000)
	require.Greater(t, low, .9)
	require.InDelta(t, 1, high, 0)
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
				e.Add(test.Outcomes[i].Name, test.Arms[arm], fixedOf(value))
				if unit%150 == 149 {
					d := test.Judge(e).Differences[i]
					ok = ok && (!d.Bounded || d.Low <= truth && truth <= d.High)
				}
			}
			missed += int(rateOf(!ok).Bad)
		}
		t.Logf("%s: %d of %d missed the truth at some look", test.Outcomes[i].Name, missed, runs)
		assert.LessOrEqual(t, missed, runs*5/100)
	}
}

func TestAnUndecidedTestSaysHowWideItsBoundsAre(t *testing.T) {
	a := clicks().Judge(ABEvidence{})
	require.Empty(t, a.Winner)
	require.Contains(t, a.Reason, "clicks of b less that of a is 0, surely from -1 to 1: a 0 of 0, b 0 of 0, c 0 of 0")
	test := clicks()
	test.Outcomes, test.Error = test.Outcomes[1:], fivePercent
	a = test.Judge(ABEvidence{})
	require.Equal(t, "seconds of b less that of a is 0, with no bounds before 100 units of each: a 0 of 0, b 0 of 0, c 0 of 0", a.Reason)
	require.Equal(t, []ABVerdict{
		{"b", ABUndecided, "seconds of b less that of a is 0, with no bounds before 100 units of each"},
		{"c", ABUndecided, "seconds of c less that of a is 0, with no bounds before 100 units of each"},
	}, a.Verdicts)
	_, err := json.Marshal(a)
	require.NoError(t, err, "nothing in it is infinite")
}

// Two arms, a thousand units each: what of each clicked, and what failed.
func TestAnArmThatIsWorseInAnotherOutcomeDoesNotWin(t *testing.T) {
	test := NewABTest(config.ABTest{
		Arms: map[string]config.Percent{"v1": 500_000, "v2": 500_000}, Reference: "v2", Error: fivePercent, Planned: 500,
		Outcomes: []config.ABOutcome{
			{Name: "clicks", Kind: config.ABRate, Better: config.ABHigher}, {Name: "failures", Kind: config.ABErrors, Better: config.ABLower},
		},
	})
	require.Equal(t, []string{"v2", "v1"}, test.Arms, "the reference comes first")
	judged := func(clicks, failures int) ABAssessment {
		var e ABEvidence
		for i := range 1000 {
			e.Add("clicks", "v2", abUnit*rateOf(i < 300).Bad)
			e.Add("clicks", "v1", abUnit*rateOf(i < clicks).Bad)
			e.Add("failures", "v2", abUnit*rateOf(i < 20).Bad)
			e.Add("failures", "v1", abUnit*rateOf(i < failures).Bad)
		}
		return test.Judge(e)
	}
	for _, tt := range []struct {
		name             string
		clicks, failures int
		winner           string
		standing         ABStanding
		reason           string
	}{
		{"nothing is sure", 310, 25, "", ABUndecided, "clicks of v1 less that of v2 is 0.01, surely from -0.0"},
		{"better", 500, 25, "v1", ABBetter, "v1 is better than every other arm in clicks, at an error of 5% over all looks: v2 0.3 of 1000, v1 0.5 of 1000"},
		{"worse", 100, 25, "v2", ABWorse, "v2 is better than every other arm in clicks"},
		{"better and worse", 500, 200, "", ABMixed, "v1 is better than every other arm in clicks, but not in failures: failures of v1 less that of v2 is 0.18"},
		{"as good, and fails", 310, 200, "", ABWorse, "clicks of v1 less that of v2 is 0.01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := judged(tt.clicks, tt.failures)
			require.Equal(t, tt.winner, a.Winner, a.Reason)
			require.Contains(t, a.Reason, tt.reason)
			require.Len(t, a.Verdicts, 1)
			require.Equal(t, tt.standing, a.Verdicts[0].Standing, a.Verdicts[0].Sentence)
			require.Contains(t, a.Verdicts[0].Sentence, "; failures of v1 less that of v2 is ")
		})
	}
}

func TestWhatIsNoOutcomeIsRefused(t *testing.T) {
	low, high := 1.0, 5.0
	test := clicks()
	test.Outcomes = append(test.Outcomes, config.ABOutcome{Name: "rating", Kind: config.ABMean, Min: &low, Max: &high}, config.ABOutcome{Name: "failures", Kind: config.ABErrors})
	for _, tt := range []struct {
		outcome string
		value   float64
		fact    string
	}{
		{"likes", 1, `outcome: is none that is reported of this test, found "likes"`},
		{"failures", 1, `outcome: is none that is reported of this test, found "failures"`},
		{"clicks", .5, "value: of a rate is neither 0 nor 1, found 0.5"},
		{"seconds", math.NaN(), "value: is not a number"},
		{"seconds", 1e10, "value: is not a number up to a billion"},
		{"rating", .5, "value: is below the outcome's min of 1, found 0.5"},
		{"rating", 6, "value: is above the outcome's max of 5, found 6"},
	} {
		require.ErrorContains(t, test.accept(tt.outcome, tt.value), tt.fact)
	}
	require.NoError(t, test.accept("rating", 5))
	require.ErrorContains(t, test.Check(abDawn, ABReport{Outcome: "likes"}), "unit: is missing, and so is request\noutcome: ", "all mistakes at once")
	require.ErrorContains(t, test.Check(abDawn, ABReport{Unit: "a", Request: "b", Outcome: "clicks"}), "unit: is given, and so is request: give one")
	require.ErrorContains(t, test.Check(abDawn, ABReport{Unit: strings.Repeat("a", 257), Outcome: "clicks"}), "are longer than 256 bytes")
	for _, at := range []time.Time{after(61), time.Unix(-1, 0)} {
		require.ErrorContains(t, test.Check(abDawn, ABReport{Unit: "a", Outcome: "clicks", At: at}), "time: is in the future, or before 1970")
	}
	require.NoError(t, test.Check(abDawn, ABReport{Request: "b", Outcome: "clicks", Value: 1}))
}

func TestOutcomesSumToTheSameBytesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 30).Draw(t, "values")
		var forward, backward ABEvidence
		for i := range values {
			forward.Add("seconds", "a", fixedOf(values[i]))
			backward.Add("seconds", "a", fixedOf(values[len(values)-1-i]))
		}
		require.Equal(t, forward, backward)
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		require.InDelta(t, sum/float64(len(values)), forward.Cells[0].mean(), 1e-5)
	})
}

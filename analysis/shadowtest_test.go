package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func shadowTest() ShadowTest {
	return ShadowTest{Error: fivePercent, Disagreement: 10_000, Drift: 50_000} // 1%, 5%
}

// looked compares answers until they are judged, and gives the verdict and how many.
func looked(t ShadowTest, seed uint64, most int, next func(*rand.Rand) Comparison) (ShadowAssessment, int) {
	rng := rand.New(rand.NewPCG(seed, 5))
	var e ShadowEvidence
	for n := range most {
		e = e.Add(t, next(rng))
		if a := t.Judge(e); n%10 == 9 && a.Verdict != Undecided {
			return a, n + 1
		}
	}
	return t.Judge(e), most
}

// noisy answers differ from themselves with a chance, and the shadow's with another.
func noisy(noise, shadow float64) func(*rand.Rand) Comparison {
	return func(rng *rand.Rand) Comparison {
		return Comparison{Twice: true, Noise: rng.Float64() < noise, Differs: rng.Float64() < shadow}
	}
}

// steadyAnswers are alike each time; the shadow's differ with a chance.
func steadyAnswers(shadow float64) func(*rand.Rand) Comparison {
	return func(rng *rand.Rand) Comparison { return Comparison{Differs: rng.Float64() < shadow} }
}

// scores are of a bell; the shadow's a part of the time from the upper end.
func scored(moved float64) func(*rand.Rand) Comparison {
	bell := func(rng *rand.Rand) float64 { return .4 + .1*rng.NormFloat64() }
	return func(rng *rand.Rand) Comparison {
		c := Comparison{Scored: true, StableScore: bell(rng), ShadowScore: bell(rng)}
		if rng.Float64() < moved {
			c.ShadowScore = .95
		}
		return c
	}
}

func TestAShadowIsJudgedByHowItsAnswersDiffer(t *testing.T) {
	for _, test := range []struct {
		name    string
		next    func(*rand.Rand) Comparison
		verdict Verdict
		within  int
	}{
		{"answers that are alike pass", steadyAnswers(0), Healthy, 400},
		{"answers that differ within what is tolerated pass", steadyAnswers(.003), Healthy, 3000},
		{"answers that differ too often are harmful", steadyAnswers(.05), Harmful, 400},
		{"answers that differ no oftener than stable's own pass", noisy(.3, .3), Healthy, 400},
		{"answers that differ oftener than stable's own are harmful", noisy(.1, .3), Harmful, 200},
		{"answers that always differ, where stable's do too, say nothing", noisy(1, 1), Undecided, 400},
		{"scores that moved are harmful", scored(.3), Harmful, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, n := looked(shadowTest(), 1, test.within, test.next)
			assert.Equal(t, test.verdict, a.Verdict, "after %d: %s", n, a.Reason)
			assert.NotEmpty(t, a.Reason)
		})
	}
}

func TestShadowsAreBlamedAndPassNoMoreOftenThanStated(t *testing.T) {
	for _, test := range []struct {
		name  string
		next  func(*rand.Rand) Comparison
		wrong Verdict
	}{
		{"answers that differ as often as is tolerated", steadyAnswers(.01), Harmful},
		{"answers that differ as often as stable's own", noisy(.2, .2), Harmful},
		{"scores that moved by less than is tolerated", scored(.05), Harmful},
		{"answers that differ as often as is just too much", steadyAnswers(.01), Healthy},
	} {
		t.Run(test.name, func(t *testing.T) {
			const runs = 200
			wrong := 0
			for seed := range uint64(runs) {
				if a, _ := looked(shadowTest(), seed, 1000, test.next); a.Verdict == test.wrong {
					wrong++
				}
			}
			t.Logf("%d of %d are %s", wrong, runs, test.wrong)
			assert.LessOrEqual(t, wrong, runs*6/100)
		})
	}
}

// Eight of eight at even odds: the mean over the alternatives of (p / 0.5)^8.
func TestPairedAnswersHaveTheirFormula(t *testing.T) {
	var e ShadowEvidence
	for range 8 {
		e = e.Add(shadowTest(), Comparison{Twice: true, Differs: true}, Comparison{Twice: true}, Comparison{Twice: true, Differs: true, Noise: true})
	}
	want := 0.0
	for _, d := range shiftsOf() {
		want += math.Pow(2/(1+math.Exp(-d)), 8) / shifts
	}
	require.InDelta(t, math.Log(want), e.Paired.Harm.logE(natsLimit), 1e-6)
	require.Equal(t, rate{N: 8, Bad: 8}, e.Paired.Candidate, "agreement, and what stable does too, say nothing")
}

func TestScoresBeyondTheirBoundsFallIntoTheLastBins(t *testing.T) {
	for score, bin := range map[float64]int{-1: 0, 0: 0, .0499: 0, .05: 1, .999: 19, 1: 19, 7: 19} {
		require.Equal(t, bin, binOf(score), "%v", score)
	}
	require.Equal(t, 0, binOf(math.NaN()))
	require.Equal(t, 19, binOf(math.Inf(1)))
}

func TestShadowEvidenceSurvivesARestartToTheByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var whole ShadowEvidence
	for range 50 {
		whole = whole.Add(shadowTest(), scored(.2)(rng), noisy(.3, .4)(rng))
	}
	saved, err := json.Marshal(whole)
	require.NoError(t, err)
	var loaded ShadowEvidence
	require.NoError(t, json.Unmarshal(saved, &loaded))
	require.Equal(t, whole, loaded)
}

func TestAShadowTestNamesItsMistakes(t *testing.T) {
	require.NoError(t, shadowTest().Check())
	err := ShadowTest{Error: config.PerMillion, Drift: -1}.Check()
	require.ErrorContains(t, err, "error: is not above 0% and below 50%, found 100%")
	require.ErrorContains(t, err, "disagreement: is not above 0% and below 100%, found 0%")
	require.ErrorContains(t, err, "drift: is not from 0% up and below 100%")
}

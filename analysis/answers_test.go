package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// comparing is a policy that judges answers alone: at most 1% may differ. twice
// measures them by stable's own as well.
func comparing(twice ...string) config.PolicySpec {
	tolerated := config.Percent(10_000)
	m := config.Metric{
		Name: config.MetricAnswers, Weight: 1, SLO: &config.SLO{Max: &tolerated},
		Compare: &config.Compare{By: config.CompareDigest, Within: config.Duration(10 * time.Second)},
	}
	if len(twice) > 0 {
		m.VersusStable = &config.VersusStable{RollbackIf: 1, PromoteIf: config.Below{Ratio: 2, OrSLO: true}}
	}
	p := config.Standard()
	p.Confidence = config.Confidence{FalseRollback: fivePercent, FalsePromotion: fivePercent}
	p.Metrics = []config.Metric{m}
	return p
}

func compared() Arms { return Arms{Stable: "v1", Candidate: "v2"} }

// looked compares answers until they are judged, and says how many that took.
func looked(p config.PolicySpec, seed uint64, most int, next func(*rand.Rand) Comparison) (Assessment, int) {
	rng := rand.New(rand.NewPCG(seed, 5))
	e := NewEvidence(p, compared())
	for n := range most {
		e = e.Compare(p, next(rng))
		if n%10 != 9 {
			continue
		}
		if a := Judge(p, e, time.Time{}); a.Verdict != Undecided {
			return a, n + 1
		}
	}
	return Judge(p, e, time.Time{}), most
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

func TestAShadowIsJudgedByHowItsAnswersDiffer(t *testing.T) {
	once, twice := comparing(), comparing("twice")
	for _, test := range []struct {
		name    string
		policy  config.PolicySpec
		next    func(*rand.Rand) Comparison
		verdict Verdict
		within  int
	}{
		{"answers that are alike pass", once, steadyAnswers(0), Healthy, 400},
		{"answers that differ within what is tolerated pass", once, steadyAnswers(.003), Healthy, 3000},
		{"answers that differ too often are harmful", once, steadyAnswers(.05), Harmful, 400},
		{"answers that differ no oftener than stable's own pass", twice, noisy(.3, .3), Healthy, 600},
		{"answers that differ oftener than stable's own are harmful", twice, noisy(.1, .3), Harmful, 250},
		{"answers that are alike pass where stable's are, too", twice, noisy(0, 0), Healthy, 500},
		{"answers that always differ, where stable's do too, say nothing", twice, noisy(1, 1), Undecided, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, n := looked(test.policy, 1, test.within, test.next)
			assert.Equal(t, test.verdict, a.Verdict, "after %d: %s", n, a.Reason)
			assert.Equal(t, int64(n), a.Answers.Pairs)
			assert.Equal(t, test.verdict == Healthy, a.Answers.Proven)
			assert.LessOrEqual(t, a.Answers.Agreement.Low, a.Answers.Agreement.Estimate)
			assert.GreaterOrEqual(t, a.Answers.Agreement.High, a.Answers.Agreement.Estimate)
		})
	}
}

func TestShadowsAreBlamedAndPassNoMoreOftenThanStated(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy config.PolicySpec
		next   func(*rand.Rand) Comparison
		wrong  Verdict
	}{
		{"answers that differ as often as is tolerated", comparing(), steadyAnswers(.01), Harmful},
		{"answers that differ as often as stable's own", comparing("twice"), noisy(.2, .2), Harmful},
		{"answers that differ as often as is just too much", comparing(), steadyAnswers(.01), Healthy},
		{"answers that differ twice as often as stable's own", comparing("twice"), noisy(.1, .2), Healthy},
	} {
		t.Run(test.name, func(t *testing.T) {
			const runs = 100
			wrong := 0
			for seed := range uint64(runs) {
				if a, _ := looked(test.policy, seed, 1000, test.next); a.Verdict == test.wrong {
					wrong++
				}
			}
			t.Logf("%d of %d are %s", wrong, runs, test.wrong)
			assert.LessOrEqual(t, wrong, 10) // 5% and two standard deviations
		})
	}
}

// Eight of eight at even odds: the mean over the alternatives of (p / 0.5)^8, each
// with its part of the first start.
func TestAShadowThatWasRightForLongIsNotAcquittedOfWhatItDoesLater(t *testing.T) {
	p := comparing()
	e := NewEvidence(p, compared())
	for range 20 { // minutes
		e.Answers.start(0.01)
		for range 300 {
			e = e.Compare(p, Comparison{})
		}
	}
	e.Answers.start(0.01)
	n := 0
	for ; n < 100 && Judge(p, e, time.Time{}).Verdict != Harmful; n++ {
		e = e.Compare(p, Comparison{Differs: true})
	}
	assert.Less(t, n, 10)
}

func TestPairedAnswersHaveTheirFormula(t *testing.T) {
	p := comparing("twice")
	e := NewEvidence(p, compared())
	for range 8 {
		e = e.Compare(p, Comparison{Twice: true, Differs: true}, Comparison{Twice: true}, Comparison{Twice: true, Differs: true, Noise: true})
	}
	want, parts := 0.0, 0.0
	for k, d := range shiftsOf() {
		part := partsOfShifts()[k]
		parts += part
		want += part * math.Pow(2/(1+math.Exp(-d)), 8)
	}
	require.InDelta(t, math.Log(firstPart*want/parts), e.Answers.Paired.Harm.logE(natsLimit), 1e-6)
	require.Equal(t, rate{N: 8, Bad: 8}, e.Answers.Paired.Candidate, "agreement, and what stable does too, say nothing")
	require.Equal(t, rate{N: 24, Bad: 8}, e.Answers.Noise)
}

func TestTheReasonNamesWhatDiffers(t *testing.T) {
	p := comparing()
	e := NewEvidence(p, compared())
	for i := range 50 {
		e = e.Compare(p, Comparison{ID: fmt.Sprintf("r%d", i), Differs: i%5 == 0, Stable: "cat", Shadow: "dog"})
	}
	a := Judge(p, e, time.Time{})
	assert.Equal(t, Harmful, a.Verdict)
	assert.Contains(t, a.Reason, "answers slo ≤ 1%: candidate 20% (10 of 50)")
	assert.Contains(t, a.Answers.Reason, "10 of 50 answers differ from stable's: 80% agree")
	assert.Contains(t, a.Answers.Examples, Disagreement{ID: "r5", Stable: "cat", Shadow: "dog"})
	assert.Equal(t, "answers", a.Why.Metric)
}

func TestExamplesAreBoundedAndDrawnFromAll(t *testing.T) {
	p := comparing()
	e := NewEvidence(p, compared())
	late := 0
	for i := range 1000 {
		e = e.Compare(p, Comparison{ID: fmt.Sprintf("r%04d", i), Differs: true})
	}
	for _, d := range e.Answers.Examples {
		if d.ID >= "r0500" {
			late++
		}
	}
	require.Len(t, e.Answers.Examples, KeptExamples)
	require.InDelta(t, KeptExamples/2, late, 4)
}

func TestAnswersThatCannotBeComparedAreNoAgreement(t *testing.T) {
	p := comparing()
	for left, passes := range map[LeftOut]bool{LeftUnmatched: false, LeftUnlabelled: false, LeftUnsent: true, LeftUnanswered: true} {
		e := NewEvidence(p, compared())
		for range 1000 {
			e = e.Compare(p, Comparison{}, Comparison{}, Comparison{Left: left})
		}
		a := Judge(p, e, time.Time{})
		assert.Equal(t, passes, a.Answers.Proven, "%s: %s", left, a.Reason)
		assert.Equal(t, map[LeftOut]int64{left: 1000}, a.Answers.Left)
		if !passes {
			assert.Contains(t, a.Reason, "1000 of 3000 copies could not be compared")
		}
	}
}

func TestNothingComparedIsNoVerdict(t *testing.T) {
	p := comparing()
	a := Judge(p, NewEvidence(p, compared()), time.Time{})
	assert.Equal(t, Undecided, a.Verdict)
	assert.Contains(t, a.Reason, "more answers to be compared")
	assert.Equal(t, "no answer was compared yet", a.Answers.Reason)
	assert.Nil(t, Judge(config.Standard(), NewEvidence(config.Standard(), compared()), time.Time{}).Answers)
}

func TestAnswersSurviveARestartToTheByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	p := comparing("twice")
	whole := NewEvidence(p, compared())
	for i := range 50 {
		c := noisy(.3, .4)(rng)
		c.ID = fmt.Sprint(i)
		whole = whole.Compare(p, c, Comparison{Left: LeftUnsent})
	}
	saved, err := json.Marshal(whole)
	require.NoError(t, err)
	var loaded Evidence
	require.NoError(t, json.Unmarshal(saved, &loaded))
	again, err := json.Marshal(loaded)
	require.NoError(t, err)
	require.Equal(t, string(saved), string(again))
	require.Equal(t, Judge(p, whole, time.Time{}), Judge(p, loaded, time.Time{}))
}

package analysis

import (
	"errors"
	"fmt"

	"github.com/sluice-dev/sluice/config"
)

// ShadowTest compares a shadow's answers with those of the version it copies. It may
// be judged at every moment: a chance of Error bounds each kind of alarm over all
// looks together. research: statistics §2e.
type ShadowTest struct {
	// Error is the chance that a shadow whose answers are as they should be is ever
	// blamed, and, apart from it, that one whose are not ever passes.
	Error config.Percent
	// Disagreement is the share of answers that may differ where a version answers
	// the same request alike each time. Where it does not, so that stable is asked
	// twice, it is not used: the shadow may differ from stable as often as stable does
	// from itself.
	Disagreement config.Percent
	// Drift is how much the distribution of scores may differ, in total variation.
	// Default 0: scores are not compared.
	Drift config.Percent
}

// Check names everything that is wrong with a test.
func (t ShadowTest) Check() error {
	var errs []error
	if t.Error <= 0 || t.Error >= config.PerMillion/2 {
		errs = append(errs, fmt.Errorf("error: is not above 0%% and below 50%%, found %s", t.Error))
	}
	if t.Disagreement <= 0 || t.Disagreement >= config.PerMillion {
		errs = append(errs, fmt.Errorf("disagreement: is not above 0%% and below 100%%, found %s", t.Disagreement))
	}
	if t.Drift < 0 || t.Drift >= config.PerMillion {
		errs = append(errs, fmt.Errorf("drift: is not from 0%% up and below 100%%, found %s", t.Drift))
	}
	return errors.Join(errs...)
}

// Comparison is what the answers to one copied request showed.
type Comparison struct {
	Differs bool // the shadow's answer from stable's, beyond tolerance
	// Twice says that stable answered a second time, and Noise whether that answer
	// differed from its first.
	Twice, Noise bool
	// Scored says that both answers have a score from 0 to 1: of a confidence, say.
	Scored                   bool
	StableScore, ShadowScore float64
}

// ShadowEvidence is the running total of a ShadowTest: nothing but integers. The zero
// value has seen nothing. Comparisons come in an order that no outcome chose.
type ShadowEvidence struct {
	Compared rate `json:"compared"` // answers, and those that differed
	// Single is the test against the tolerated share, of requests that stable answered
	// once.
	Single limit `json:"single"`
	// Paired is McNemar's test, of requests of which exactly one second answer differed:
	// bad are those where it was the shadow's.
	Paired limit `json:"paired"`
	Drift  drift `json:"drift"`
}

// pairedMargin is how much oftener than stable from itself a shadow that passes may
// differ: as often again.
const pairedMargin = 2.

// Add counts comparisons.
func (e ShadowEvidence) Add(t ShadowTest, comparisons ...Comparison) ShadowEvidence {
	single, even, margin := newLimitGrid(t.Disagreement.Fraction()), newLimitGrid(0.5), newLimitGrid(pairedMargin/(1+pairedMargin))
	for _, c := range comparisons {
		differs := rateOf(c.Differs)
		e.Compared = e.Compared.plus(differs)
		switch {
		case !c.Twice:
			e.Single.add(&single, differs, differs)
		case c.Differs != c.Noise:
			up, down := e.Paired, e.Paired
			up.add(&even, differs, differs)
			down.add(&margin, differs, differs)
			e.Paired = limit{Harm: up.Harm, Safe: down.Safe, Candidate: up.Candidate}
		}
		if c.Scored && t.Drift > 0 {
			e.Drift = e.Drift.add(t.Drift.Fraction(), c.StableScore, c.ShadowScore)
		}
	}
	return e
}

// ShadowAssessment is what a shadow shows.
type ShadowAssessment struct {
	Verdict Verdict `json:"verdict"` // Undecided, Healthy or Harmful
	Reason  string  `json:"reason"`  // one sentence with numbers
	Tests   []Test  `json:"tests"`
}

// Judge says what the evidence is worth. Harm is the mean of all tests, health wants
// every test that has seen anything; drift never says that scores are alike, only
// that they are not.
func (t ShadowTest) Judge(e ShadowEvidence) ShadowAssessment {
	needed := -ln(max(t.Error.Fraction(), 1./config.PerMillion))
	harm, tests := t.harm(e)
	for i := range tests {
		tests[i].LogNeeded = needed + ln(float64(len(tests)))
		tests[i].Passed = tests[i].LogE >= tests[i].LogNeeded
	}
	safe := t.safe(e, needed)
	a := ShadowAssessment{Verdict: Undecided, Tests: append(tests, safe...)}
	switch missing := firstOpen(safe); {
	case e.Compared.N == 0:
		a.Reason = "no answer was compared yet"
	case harm >= needed:
		a.Verdict, a.Reason = Harmful, sprintf("answers differ: %s; log-e of all tests together %.2f of %.2f", loudest(tests).told(), harm, needed)
	case missing != nil:
		a.Reason = missing.told()
	default:
		a.Verdict = Healthy
		a.Reason = sprintf("%d of %d answers differ, as few as should", e.Compared.Bad, e.Compared.N)
	}
	return a
}

// harm is the log of the mean of the tests that blame.
func (t ShadowTest) harm(e ShadowEvidence) (logE float64, tests []Test) {
	tests = []Test{
		{
			Metric: "disagreement", Method: methodLimit, Direction: directionRollback, Threshold: "≤ " + t.Disagreement.String(),
			LogE: e.Single.Harm.logE(natsLimit), Candidate: e.Single.Candidate.estimate(),
		},
		{
			Metric: "disagreement", Method: methodPaired, Direction: directionRollback, Threshold: "≤ stable's own",
			LogE: e.Paired.Harm.logE(natsLimit), Candidate: e.Paired.Candidate.estimate(),
		},
	}
	if t.Drift > 0 {
		tests = append(tests, Test{
			Metric: "scores", Method: methodDrift, Direction: directionRollback, Threshold: "≤ " + t.Drift.String(),
			LogE: e.Drift.logE(), Candidate: Estimate{N: e.Drift.N},
		})
	}
	logs := make([]float64, len(tests))
	for i := range tests {
		logs[i] = tests[i].LogE
	}
	return logSumExp(logs...) - ln(float64(len(logs))), tests
}

// safe are the tests that praise: of what was seen.
func (t ShadowTest) safe(e ShadowEvidence, needed float64) (tests []Test) {
	add := func(l limit, method, threshold string) {
		logE := l.Safe.logE(natsLimit)
		tests = append(tests, Test{
			Metric: "disagreement", Method: method, Direction: directionPromotion, Threshold: threshold, LogE: logE, LogNeeded: needed,
			Passed: logE >= needed, Candidate: l.Candidate.estimate(),
		})
	}
	if e.Single.Candidate.N > 0 || e.Paired.Candidate.N == 0 {
		add(e.Single, methodLimit, "≤ "+t.Disagreement.String())
	}
	if e.Paired.Candidate.N > 0 {
		add(e.Paired, methodPaired, sprintf("< %gx stable's own", pairedMargin))
	}
	return tests
}

func firstOpen(tests []Test) *Test {
	for i := range tests {
		if !tests[i].Passed {
			return &tests[i]
		}
	}
	return nil
}

func loudest(tests []Test) Test {
	most := tests[0]
	for _, t := range tests {
		if t.LogE > most.LogE {
			most = t
		}
	}
	return most
}

// told is a test in one clause.
func (t Test) told() string {
	return sprintf("%s by %s, %s: %d of %d, log-e %.2f of %.2f", t.Metric, t.Method, t.Threshold, t.Candidate.Count, t.Candidate.N, t.LogE, t.LogNeeded)
}

package analysis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/config"
)

func testArms() Arms {
	return Arms{Route: config.Key{Namespace: "ml", Name: "filetype"}, Stable: "v1", Candidate: "v2"}
}

func percentOf(p float64) *config.Percent {
	share := config.Percent(p * config.PerMillion / 100)
	return &share
}

// errorPolicy judges errors alone, as the default policy does.
func errorPolicy() config.PolicySpec {
	return config.PolicySpec{
		Metrics: []config.Metric{{
			Name: config.MetricErrors, SLO: &config.SLO{Max: percentOf(1)},
			VersusStable: &config.VersusStable{RollbackIf: 1.5, PromoteIf: config.Below{Ratio: 2, OrSLO: true}, Floor: 2000},
		}},
	}.Default()
}

func windowOf(index int64, version string, epoch uint64, pod string, requests, errors int64) Window {
	return Window{
		WindowKey: WindowKey{Index: index, Version: version, Epoch: epoch, Pod: pod},
		Requests:  requests, Errors: errors,
	}
}

// twoArms is n windows of each arm, of equal counts.
func twoArms(n, stable, stableErrors, candidate, candidateErrors int64) []Window {
	var ws []Window
	for i := range n {
		ws = append(ws, windowOf(i, "v1", 1, "a:1", stable, stableErrors), windowOf(i, "v2", 1, "b:1", candidate, candidateErrors))
	}
	return ws
}

func judged(p config.PolicySpec, declared uint32, ws []Window) Assessment {
	e := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws, Shares: map[uint64]uint32{1: declared}})
	return Judge(p, e, time.Unix(1, 0))
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		windows []Window
		share   uint32
		verdict Verdict
		reason  string
	}{
		{"no candidate request is undecided", twoArms(40, 50, 0, 0, 0), 500, Undecided, "no request of candidate v2 has been judged yet; stable v1 had 2000"},
		{
			"a few good requests are undecided, with what is missing", twoArms(40, 95, 0, 5, 0), 500, Undecided,
			"errors slo ≤ 1% has log-e 1.38 of 3.28: about 190 more candidate requests, 10 s at 20/s",
		},
		{"many good requests are healthy", twoArms(120, 95, 0, 5, 0), 500, Healthy, "every required promotion test has passed: errors slo ≤ 1% (log-e 4.91 of 3.28)"},
		{"failing where stable does not is harmful", twoArms(120, 95, 0, 5, 1), 500, Harmful, "errors"},
		{"failing where stable fails alike is a hold", twoArms(400, 95, 19, 5, 1), 500, Undecided, "stable breaches errors ≤ 1% too: 20% of its last 26497 requests"},
		{"another split than declared is a hold", twoArms(400, 95, 0, 5, 0), 2500, Undecided, "the candidate got 5% of 40000 requests where 25% was declared"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := judged(errorPolicy(), test.share, test.windows)
			assert.Equal(t, test.verdict, a.Verdict, a.Reason)
			assert.Contains(t, a.Reason, test.reason)
		})
	}
}

func TestARollbackForErrorsHasFurtherConditions(t *testing.T) {
	for _, test := range []struct {
		name    string
		windows []Window
		idle    string
	}{
		{"two errors are too few", append(twoArms(40, 1000, 0, 10, 0), windowOf(41, "v1", 1, "a:1", 1000, 0), windowOf(41, "v2", 1, "b:1", 2, 2)), "fewer than 3 errors: 2"},
		{"a rate below the floor is tolerated", append(twoArms(40, 1000, 0, 100, 0), windowOf(41, "v1", 1, "a:1", 1000, 0), windowOf(41, "v2", 1, "b:1", 100, 4)), "an error rate of 0.0976% is below the floor of 0.2%"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := errorPolicy()
			p.Metrics[0].SLO, p.Metrics[0].BurstCap = nil, 100
			p.Metrics[0].VersusStable.PromoteIf.OrSLO = false
			a := judged(p, 0, test.windows)
			assert.Equal(t, test.idle, a.Tests[0].Idle)
			assert.Greater(t, a.Tests[0].LogE, a.Tests[0].LogNeeded, "its evidence is shown in any case")
			assert.False(t, a.Tests[0].Passed)
			assert.Equal(t, Undecided, a.Verdict)
		})
	}
}

func TestALimitThatStableBreachesTooBlamesTheCandidateOnlyIfItIsWorse(t *testing.T) {
	p := errorPolicy()
	p.Metrics[0].BurstCap = 100
	alike := judged(p, 0, twoArms(200, 95, 19, 5, 1))
	assert.Equal(t, Undecided, alike.Verdict)
	assert.Equal(t, alike.Hold, alike.Reason)
	worse := judged(p, 0, twoArms(200, 95, 2, 5, 1))
	assert.Equal(t, Harmful, worse.Verdict, worse.Reason)
	assert.Empty(t, worse.Hold)
}

func TestAWrongSplitNamesTheEpochThatWentWrong(t *testing.T) {
	p := errorPolicy()
	ws := twoArms(100, 75, 0, 25, 0)
	for i := range int64(100) {
		ws = append(ws, windowOf(100+i, "v1", 2, "a:1", 50, 0), windowOf(100+i, "v2", 2, "b:1", 50, 0))
	}
	e := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws, Shares: map[uint64]uint32{1: 500, 2: 5000}})
	assert.Contains(t, Judge(p, e, time.Unix(1, 0)).Hold, "the candidate got 25% of 10000 requests where 5% was declared")
}

func TestPromotionNeedsEveryMetric(t *testing.T) {
	p := fullPolicy()
	a := judged(p, 500, twoArms(400, 95, 0, 5, 0)) // no latency at all
	assert.Equal(t, Undecided, a.Verdict)
	assert.Contains(t, a.Reason, "latency-p50 pod-rank <1.3x has log-e 0.00 of 3.00 and is not growing")
	assert.Contains(t, a.Reason, "3 nearer promotion tests are missing, too")
}

func TestPromotionByEitherPathDividesTheBound(t *testing.T) {
	p := errorPolicy()
	tests := judged(p, 500, twoArms(40, 95, 0, 5, 0)).Tests
	together := 0.0
	for _, test := range tests {
		if test.Direction == directionPromotion {
			together += expo(-test.LogNeeded)
		}
	}
	assert.InDelta(t, p.Confidence.FalsePromotion.Fraction(), together, 1e-9)
}

func TestAMetricsWeightIsItsPartOfTheFalseRollbacksThatTripsLeave(t *testing.T) {
	p := fullPolicy()
	ws := twoArms(40, 95, 0, 5, 0)
	ws[0].ClientErrors = 1
	a := judged(p, 500, ws)
	sum := 0.0
	for _, test := range a.Tests {
		if test.Direction == directionRollback {
			sum += expo(-test.LogNeeded)
		}
	}
	assert.InDelta(t, (1-SettleShare)*p.Confidence.FalseRollback.Fraction(), sum, 1e-9)
}

func TestAnIntervalHoldsTheOddsRatio(t *testing.T) {
	p := errorPolicy()
	covered := 0
	const runs = 60
	for seed := range uint64(runs) {
		tr := newTraffic(seed, 200)
		tr.share, tr.stable, tr.candidate = always[uint32](2500), always(0.01), always(0.03)
		s := newSequential(p)
		tr.alarm(s, 20*time.Second, 200)
		ratio := s.e.Odds.estimate(3)
		truth := (0.03 / 0.97) / (0.01 / 0.99)
		if ratio.Low <= truth && (ratio.High == 0 || ratio.High >= truth) {
			covered++
		}
		assert.Greater(t, ratio.Estimate, ratio.Low)
	}
	assert.GreaterOrEqual(t, covered, runs*9/10)
}

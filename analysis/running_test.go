package analysis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// A candidate whose first tokens come late is found while every answer of both versions
// still runs: generations of minutes have no end to be judged by.
func TestALateFirstByteIsFoundWhileEveryAnswerStillRuns(t *testing.T) {
	p := config.PolicySpec{
		Unit: config.Unit{Block: config.Duration(time.Second)}, Warmup: config.Warmup{Requests: 1},
		Metrics: []config.Metric{{Name: config.MetricTTFB, Quantiles: []config.Quantile{.5}, VersusStable: &config.VersusStable{
			RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5},
		}}},
	}.Default()
	arms := analysis.Arms{Route: mlRoute(), Stable: "v1", Candidate: "v2"}
	for _, tt := range []struct {
		candidate time.Duration
		want      analysis.Verdict
	}{{ms(200), analysis.Undecided}, {ms(300), analysis.Harmful}} {
		bins, evidence := analysis.NewBins(epoch(), time.Second), analysis.NewEvidence(p, arms)
		shares := map[uint64]uint32{7: 5000}
		for i := range 20 * 60 {
			r := firstByte(at(ms(50*i), ms(200), analysis.Succeeded), ms(200))
			r.Running, r.Route = true, mlRoute()
			if i%2 == 1 {
				r.Version, r.FirstByte, r.Duration, r.Pod = "v2", tt.candidate, tt.candidate, "10.0.0.2:80"
			}
			bins.Add(r)
		}
		evidence = evidence.Update(p, analysis.Closed{Windows: bins.Close(epoch().Add(2 * time.Minute)), Shares: shares})
		a := analysis.Judge(p, evidence, epoch().Add(2*time.Minute))
		assert.Equal(t, tt.want, a.Verdict, a.Reason)
		assert.Zero(t, a.Requests["v2"], "none has ended")
	}
}

// Answers of the candidate that take twice as long end later, which is no sign that
// requests are not split as declared: each counts to its split when it is first known.
func TestAnswersThatStillRunCountToTheirSplit(t *testing.T) {
	p := config.PolicySpec{Metrics: []config.Metric{{Name: config.MetricErrors, SLO: &config.SLO{Max: new(config.Percent(10_000))}}}}.Default()
	arms := analysis.Arms{Route: mlRoute(), Stable: "v1", Candidate: "v2"}
	verdict := func(tell bool) analysis.Assessment {
		bins := analysis.NewBins(epoch(), time.Second)
		for i := range 20 * 60 {
			r := firstByte(at(ms(50*i), 20*time.Second, analysis.Succeeded), ms(200))
			r.Told = tell
			if i%2 == 1 {
				r.Version, r.Duration = "v2", 40*time.Second
			}
			if tell {
				begun := r
				begun.Running, begun.Told, begun.Duration = true, false, r.FirstByte
				bins.Add(begun)
			}
			bins.Add(r)
		}
		windows := bins.Close(epoch().Add(time.Minute))
		e := analysis.NewEvidence(p, arms).Update(p, analysis.Closed{Windows: windows, Shares: map[uint64]uint32{7: 5000}})
		return analysis.Judge(p, e, epoch().Add(time.Minute))
	}
	assert.Equal(t, analysis.WhySplit, verdict(false).Why.Kind)
	assert.NotEqual(t, analysis.WhySplit, verdict(true).Why.Kind, verdict(true).Reason)
}

func TestOneThatRunsIsNoAttemptThatEnded(t *testing.T) {
	r := firstByte(at(0, ms(5), analysis.TimedOut), ms(5))
	r.Running, r.Route, r.Version, r.ID = true, mlRoute(), "v2", "r1"
	arms := analysis.Arms{Route: mlRoute(), Stable: "v1", Candidate: "v2"}
	policy := config.Standard()
	watch := analysis.NewWatch(policy, arms)
	for range 100 {
		watch.Add(r)
	}
	_, tripped := watch.Look(epoch().Add(time.Second))
	assert.False(t, tripped)
	settlement := analysis.NewSettlement(policy, arms, analysis.Suspicion{At: epoch()}, 1)
	r.Shadow = true
	settlement.Add(r)
	assert.Empty(t, settlement.Candidate)
}

// A version that hangs answers nothing: its requests are still out, each where the split
// sent it, and their windows say how long they have waited.
func TestAVersionThatHangsIsHarmfulAndNoFaultOfTheSplit(t *testing.T) {
	p := config.PolicySpec{
		Unit: config.Unit{Block: config.Duration(time.Second)}, Warmup: config.Warmup{PerPod: config.Duration(time.Second)},
		Metrics: []config.Metric{{Name: config.MetricLatency, Quantiles: []config.Quantile{.5}, VersusStable: &config.VersusStable{
			RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5},
		}}},
	}.Default()
	arms := analysis.Arms{Route: mlRoute(), Stable: "v1", Candidate: "v2"}
	verdict := func(seconds int, told bool) analysis.Assessment {
		bins := analysis.NewBins(epoch(), ms(100))
		bins.SetPatience(5 * time.Second)
		for i := range 20 * seconds {
			r := firstByte(at(ms(50*i), ms(40), analysis.Succeeded), ms(40))
			r.Route, r.ID, r.Pod = mlRoute(), fmt.Sprint(i), fmt.Sprintf("10.0.0.%d:80", i%4)
			if i%2 == 0 {
				bins.Add(r)
				continue
			}
			r.Version, r.FirstByte, r.Running = "v2", 0, true
			for wait := 1; told && wait <= seconds-i/20; wait++ {
				r.Duration = time.Duration(wait) * time.Second
				bins.Add(r)
			}
		}
		end := epoch().Add(time.Duration(seconds) * time.Second)
		e := analysis.NewEvidence(p, arms).Update(p, analysis.Closed{Windows: bins.Close(end.Add(time.Second)), Shares: map[uint64]uint32{7: 5000}})
		return analysis.Judge(p, e, end)
	}
	assert.Contains(t, verdict(5, false).Hold, "the candidate got 0% of")
	assert.Empty(t, verdict(5, true).Hold)
	late := verdict(25, true)
	assert.Equal(t, analysis.Harmful, late.Verdict, late.Reason)
	assert.Contains(t, late.Reason, "latency-p50 pod-rank")
}

package live_test

import (
	"testing"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
	"github.com/sluice-dev/sluice/config"
)

// shadowing copies a tenth to v3-3, whose answers differ too often, and asks stable
// twice.
func shadowing() controller.Snapshot {
	s := resting()
	s.Route.Strategy = config.Strategy{Shadow: &config.Shadow{Of: "v3-2", To: "v3-3", Percent: percent(10)}}
	s.State.Stable = ""
	s.State.Published = config.Split{
		Epoch: 7, Shares: config.Whole("v3-2"), Mirror: config.Share{Version: "v3-3", Weight: 1000}, Repeat: config.Share{Version: "v3-2", Weight: 1000},
	}
	noise := analysis.Estimate{N: 400, Count: 2, Value: .005}
	s.Assessment = &analysis.Assessment{
		At: noon, Verdict: analysis.Harmful, LogE: 6.2, LogNeeded: 5.3,
		Reason: "answers paired-versus-stable >1x: candidate 3% (12 of 400), stable 0.5% (2 of 400), log-e 6.20 of 5.30; log-e of all tests together 6.20 of 5.30",
		Tests: []analysis.Test{{
			Metric: "answers", Method: "paired-versus-stable", Direction: "rollback", Threshold: ">1x", LogE: 6.2, LogNeeded: 5.3, Passed: true,
			Stable: noise, Candidate: analysis.Estimate{N: 400, Count: 12, Value: .03},
		}},
		Answers: &analysis.Answers{
			By: config.CompareDigest, Pairs: 400, Differ: 12, Noise: &noise, Threshold: "as stable's own differ: harmful >1x, healthy <2x or slo; slo ≤ 1% differ",
			Agreement: analysis.Interval{Estimate: .97, Low: .94, High: .985},
			Reason:    "12 of 400 answers differ from stable's: 97% agree (94% to 98.5%); stable's own differ in 2 of 400; not compared: 9 were over the cap and not sent",
			Left:      map[analysis.LeftOut]int64{analysis.LeftUnsent: 9},
			Examples: []analysis.Disagreement{
				{ID: "6f1c2a9e-0001", Stable: "cat", Shadow: "dog"},
				{ID: "6f1c2a9e-0002", Stable: "cat", Shadow: "no answer"},
				{ID: "6f1c2a9e-0003", Stable: "cow", Shadow: "503"},
				{ID: "6f1c2a9e-0004", Stable: "cow", Shadow: "cat"},
			},
		},
	}
	return s
}

func TestAShadowsAnswersAreShown(t *testing.T) {
	golden(t, "a_shadow_whose_answers_differ", live.Screen(shadowing(), live.Look{}))
	golden(t, "explained_shadow", live.Explain(shadowing(), live.Look{}))
}

func TestAStepThatCopiesIsNamedSo(t *testing.T) {
	s := stepping()
	s.State.Rollout.Steps = append([]config.Step{{Shadow: percent(10), For: config.Duration(60e9)}}, s.State.Rollout.Steps...)
	golden(t, "a_step_that_copies", live.Screen(s, live.Look{}))
}

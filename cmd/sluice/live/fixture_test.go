package live_test

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func filetype() config.Key { return config.Key{Namespace: "ml", Name: "filetype"} }

func percent(p int) config.Percent { return config.Percent(p * config.PerMillion / 100) }

// resting serves v3-2 and has tried nothing yet.
func resting() controller.Snapshot {
	return controller.Snapshot{
		At: noon,
		State: canary.State{
			Route: filetype(), Seq: 1, Stable: "v3-2", Proxies: 1, Acked: 7,
			Ready:     map[string]int{"v3-2": 2, "v3-3": 2},
			Published: config.Split{Epoch: 7, Shares: config.Whole("v3-2")},
		},
		Route: config.RouteSpec{Strategy: config.Strategy{Canary: &config.Canary{}}},
		Conditions: []canary.Condition{
			{Type: canary.Accepted, Status: canary.True, Reason: "Valid", Message: "the newest configuration is in force"},
			{Type: canary.Ready, Status: canary.True, Reason: "Serving", Message: "1 proxy connected; epoch 7 was acknowledged"},
			{Type: canary.RolledBack, Status: canary.False, Reason: "NotTried", Message: "no rollout of the target was rolled back"},
		},
		Proxies: []string{"sluice-7f3a"}, LogDelay: 31 * time.Millisecond,
	}
}

// stepping tries v3-3 at the second of four steps.
func stepping() controller.Snapshot {
	s := resting()
	s.State.Seq, s.State.Acked = 12, 8
	s.State.Published = config.Split{Epoch: 9, Shares: config.Carve("v3-2", "v3-3", 2500, 3000)}
	s.State.Rollout = &canary.Rollout{
		ID: "v3-3-1", Stable: "v3-2", Candidate: "v3-3", Phase: canary.Stepping, Step: 1, Policy: config.Standard(),
		Began: noon.Add(-2 * time.Minute), Since: noon.Add(-73 * time.Second), Clock: noon.Add(-72 * time.Second), Base: 300,
		Verdict: analysis.Undecided, Bake: config.Duration(10 * time.Minute),
		Steps: []config.Step{
			{Weight: percent(5)},
			{Weight: percent(25), For: config.Duration(2 * time.Minute)},
			{Approve: &config.Approve{Timeout: config.Duration(24 * time.Hour)}},
			{Weight: percent(50)},
		},
		Passages: []canary.Passage{{Epoch: 8, Weight: 500, Acked: noon.Add(-2 * time.Minute)}, {Epoch: 9, Weight: 2500}},
	}
	s.Waits = []canary.Wait{
		{Reason: canary.WaitTime, Text: "step 2 of 4 has lasted 1m12s of at least 2m0s"},
		{Reason: canary.WaitRequests, Text: "step 2 of 4 has seen 180 of at least 300 requests to v3-3"},
	}
	s.Remedy = "latency-p95 pod-rank <1.5x has log-e 1.10 of 3.00: about 210 more candidate requests, 42 s at 5/s"
	s.Assessment = seen()
	s.Conditions[1].Message = "1 proxy connected; epoch 8 was acknowledged"
	s.Traces = []canary.Trace{{
		Rollout: "v3-3-1", Arms: analysis.Arms{Stable: "v3-2", Candidate: "v3-3"},
		Stable: canary.Exposure{Requests: 4210, Errors: 4}, Candidate: canary.Exposure{Requests: 480, Errors: 1},
		Served: []canary.Served{{Epoch: 8, Stable: 2000, Candidate: 100}, {Epoch: 9, Stable: 300, Candidate: 98}},
	}}
	return s
}

// seen is an assessment with one test of every kind.
func seen() *analysis.Assessment {
	errors := analysis.Test{
		Metric: "errors", Method: "errors-versus-stable",
		Stable: analysis.Estimate{N: 4210, Count: 4, Value: 4.0 / 4210}, Candidate: analysis.Estimate{N: 480, Count: 1, Value: 1.0 / 480},
		Ratio: analysis.Interval{Estimate: 2.19, Low: .07, High: 14.2},
	}
	slow := analysis.Test{
		Metric: "latency-p95", Method: "pod-rank",
		Stable: analysis.Estimate{N: 60, Count: 3, Value: .041}, Candidate: analysis.Estimate{N: 24, Count: 2, Value: .0437},
		Ratio: analysis.Interval{Estimate: 1.066},
	}
	as := func(t analysis.Test, direction, threshold string, logE, needed float64) analysis.Test {
		t.Direction, t.Threshold, t.LogE, t.LogNeeded, t.Passed = direction, threshold, logE, needed, logE >= needed
		return t
	}
	few := as(errors, "rollback", ">1.5x", .42, 6.1)
	few.Idle = "fewer than 3 errors: 1"
	limit := errors
	limit.Method, limit.Ratio = "slo", analysis.Interval{}
	return &analysis.Assessment{
		At: noon, Verdict: analysis.Undecided, Reason: "latency-p95 pod-rank <1.5x has log-e 1.10 of 3.00",
		LogE: .8, LogNeeded: 5.3, Requests: map[string]int64{"v3-2": 4210, "v3-3": 480},
		Tests: []analysis.Test{
			few, as(errors, "promotion", "<2x or slo", 3.4, 3),
			as(limit, "rollback", "≤ 1%", -1.2, 7.2),
			as(slow, "rollback", ">1.25x", 1.9, 6.4), as(slow, "promotion", "<1.5x", 1.1, 3),
			as(analysis.Test{Metric: "split", Method: "split-integrity", Candidate: analysis.Estimate{N: 398, Count: 98, Value: .246}}, "integrity", "25%", -.001, 9.2),
		},
	}
}

// gated waits for a person while nothing else is well.
func gated() controller.Snapshot {
	s := stepping()
	r := s.State.Rollout
	r.Phase, r.Step, r.Clock, r.Since = canary.Approving, 2, time.Time{}, noon.Add(-time.Minute)
	r.Gate = &canary.Gate{Number: 2, Hash: "3fa9c1d2e4b5", Verdict: analysis.Undecided, At: noon, Opened: noon.Add(-time.Minute)}
	r.Blind = &canary.Blind{Since: noon.Add(-12 * time.Second), Reason: "214 of 1204 log entries are missing"}
	s.State.Nack = &canary.Nack{Proxy: "sluice-7f3a", Epoch: 9, Text: "listener \x1b[31m\"ml\"\x1b[0m:\r\naddress already in use", At: noon}
	s.Refusal = "spec.versions[1].endpoints: is changed while v3-3 is in a rollout"
	s.Gap = "214 of 1204"
	s.Stuck = []string{"sluice-b001"}
	s.Waits = []canary.Wait{
		{Reason: canary.WaitBlind, Text: "blind for 12s: 214 of 1204 log entries are missing"},
		{Reason: canary.WaitApproval, Text: "review 2 (3fa9c1d2e4b5) waits for approval since 11:59:00Z"},
	}
	s.Remedy = ""
	s.Conditions[0] = canary.Condition{Type: canary.Accepted, Status: canary.False, Reason: "Immutable", Message: s.Refusal}
	return s
}

// tripped has its first trip settled by mirrored requests.
func tripped() controller.Snapshot {
	s := stepping()
	r := s.State.Rollout
	r.Phase, r.Clock, r.Since = canary.Tripped, time.Time{}, noon.Add(-4*time.Second)
	r.Trips = []canary.Trip{
		{Number: 1, At: noon.Add(-time.Minute), Share: 500, Outcome: canary.TripCleared, Reason: "3 of 3 requests failed", Text: "412 mirrored requests, 1 failed"},
		{Number: 2, At: noon.Add(-4 * time.Second), Share: 2500, Outcome: canary.TripOpen, Reason: "4 of 5 requests failed × 3"},
	}
	s.State.Published = config.Split{Epoch: 10, Shares: config.Whole("v3-2"), Mirror: config.Share{Version: "v3-3", Weight: 2500}}
	s.Ruling = &controller.Ruling{Text: "2 of 80 mirrored requests failed", N: 80, LogE: 2.5, LogNeeded: 4.6}
	s.Waits = []canary.Wait{{Reason: canary.WaitTrip, Text: "trip 2 of at most 3 is being settled until 12:00:56Z: 4 of 5 requests failed × 3"}}
	s.Remedy = ""
	return s
}

// baking has promoted v3-3 and watches it.
func baking() controller.Snapshot {
	s := stepping()
	r := s.State.Rollout
	r.Phase, r.Step, r.Verdict = canary.Baking, 3, analysis.Healthy
	s.State.Stable, s.State.Acked = "v3-3", 11
	s.State.Published = config.Split{Epoch: 11, Shares: config.Whole("v3-3")}
	r.Passages = append(r.Passages, canary.Passage{Epoch: 11, Weight: 10000, Acked: noon})
	s.Waits = []canary.Wait{{Reason: canary.WaitTime, Text: "baking has lasted 1m12s of at least 10m0s"}}
	s.Remedy = ""
	return s
}

// ended is how stepping went on.
func ended(o canary.Outcome) controller.Snapshot {
	s := stepping()
	f := canary.Finished{
		Rollout: *s.State.Rollout, Outcome: o, Cause: canary.CauseEvidence, Ended: noon, Epoch: 12, Confirmed: noon.Add(2 * time.Millisecond),
		Reason: "errors slo 1%: candidate 8.54% (41 of 480), stable 0.095% (4 of 4210), log-e 9.31 of 7.20",
	}
	s.State.Rollout, s.State.History = nil, []canary.Finished{f}
	s.State.Published, s.State.Acked = config.Split{Epoch: 12, Shares: config.Whole("v3-2")}, 12
	s.Waits, s.Remedy = nil, ""
	s.At = noon.Add(time.Second)
	if o == canary.OutcomeRolledBack {
		s.Assessment.Verdict, s.Assessment.Reason, s.Assessment.LogE = analysis.Harmful, f.Reason, 6.2
		s.Assessment.Tests[2].LogE, s.Assessment.Tests[2].Passed = 9.31, true
		s.Conditions[2] = canary.Condition{Type: canary.RolledBack, Status: canary.True, Reason: "Evidence", Message: f.Reason + ", and back to v3-2"}
	}
	return s
}

// divided has a split that is written by hand.
func divided() controller.Snapshot {
	s := resting()
	s.Route.Strategy = config.Strategy{Split: &config.FixedSplit{}}
	s.State.Stable = ""
	s.State.Published = config.Split{Epoch: 7, Shares: []config.Share{{Version: "v3-2", Weight: 9000}, {Version: "v3-3", Weight: 1000}}}
	return s
}

package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func filetype() config.Key { return config.Key{Namespace: "ml", Name: "filetype"} }

func percent(p int) config.Percent { return config.Percent(p * config.PerMillion / 100) }

// stepping is a route whose candidate is at the second of four steps.
func stepping() controller.Snapshot {
	return controller.Snapshot{
		At: noon,
		State: canary.State{
			Route: filetype(), Seq: 12, Stable: "v3-2", Proxies: 1, Acked: 8, Ready: map[string]int{"v3-2": 2, "v3-3": 2},
			Published: config.Split{Epoch: 9, Shares: config.Carve("v3-2", "v3-3", 2500, 3000)},
			Rollout: &canary.Rollout{
				ID: "v3-3-1", Stable: "v3-2", Candidate: "v3-3", Phase: canary.Stepping, Step: 1, Policy: config.Standard(),
				Began: noon.Add(-2 * time.Minute), Since: noon.Add(-72 * time.Second), Clock: noon.Add(-72 * time.Second), Base: 300,
				Verdict: analysis.Undecided, Bake: config.Duration(10 * time.Minute),
				Steps: []config.Step{
					{Weight: percent(5)},
					{Weight: percent(25), For: config.Duration(2 * time.Minute)},
					{Approve: &config.Approve{Timeout: config.Duration(24 * time.Hour)}},
					{Weight: percent(50)},
				},
				Trips: []canary.Trip{{
					Number: 1, At: noon.Add(-100 * time.Second), Share: 500, Outcome: canary.TripCleared, Ended: noon.Add(-80 * time.Second),
					Reason: "3 of the last 3 requests failed: e-value 1,204 of 1,000", Text: "412 mirrored requests, 1 failed",
				}},
				Passages: []canary.Passage{{Epoch: 8, Weight: 500, Acked: noon.Add(-2 * time.Minute)}, {Epoch: 9, Weight: 2500}},
			},
		},
		Route: config.RouteSpec{Strategy: config.Strategy{Canary: &config.Canary{}}},
		Conditions: []canary.Condition{
			{Type: canary.Accepted, Status: canary.True, Reason: "Valid", Message: "the newest configuration is in force"},
			{Type: canary.Ready, Status: canary.True, Reason: "Serving", Message: "1 proxy connected; epoch 8 was acknowledged"},
			{Type: canary.Progressing, Status: canary.True, Reason: "LeastTime", Message: "step 2 of 4 has lasted 1m12s of at least 2m0s"},
			{Type: canary.Stalled, Status: canary.False, Reason: "Stepping", Message: "rollout v3-3-1 goes on by itself"},
		},
		Waits: []canary.Wait{
			{Reason: canary.WaitTime, Text: "step 2 of 4 has lasted 1m12s of at least 2m0s"},
			{Reason: canary.WaitRequests, Text: "step 2 of 4 has seen 180 of at least 300 requests to v3-3"},
		},
		Remedy:     "latency-p95 pod-rank <1.5x has log-e 1.10 of 3.00: about 210 more candidate requests, 42 s at 5/s",
		Assessment: undecided(),
		Proxies:    []string{"sluice-7f3a"}, LogDelay: 31 * time.Millisecond,
		Traces: []canary.Trace{{
			Rollout: "v3-3-1", Arms: analysis.Arms{Stable: "v3-2", Candidate: "v3-3"},
			Stable: canary.Exposure{Requests: 4210, Errors: 4}, Candidate: canary.Exposure{Requests: 480, Errors: 1, Mirrored: 412},
			Served: []canary.Served{{Epoch: 8, Stable: 2000, Candidate: 100}, {Epoch: 9, Stable: 300, Candidate: 98}},
		}},
	}
}

func undecided() *analysis.Assessment {
	test := func(metric, method, direction, threshold string, logE, needed float64) analysis.Test {
		t := analysis.Test{
			Metric: metric, Method: method, Direction: direction, Threshold: threshold, LogE: logE, LogNeeded: needed, Passed: logE >= needed,
			Stable: analysis.Estimate{N: 4210, Count: 4, Value: 4.0 / 4210}, Candidate: analysis.Estimate{N: 480, Count: 1, Value: 1.0 / 480},
		}
		if method == "pod-rank" {
			t.Stable, t.Candidate = analysis.Estimate{N: 60, Count: 3, Value: .041}, analysis.Estimate{N: 24, Count: 2, Value: .0437}
			t.Ratio = analysis.Interval{Estimate: 1.066, High: 1.5}
		}
		return t
	}
	few := test("errors", "errors-versus-stable", "rollback", ">1.5x", .42, 6.1)
	few.Idle = "fewer than 3 errors: 1"
	return &analysis.Assessment{
		At: noon, Verdict: analysis.Undecided, Reason: "latency-p95 pod-rank <1.5x has log-e 1.10 of 3.00", LogE: .8, LogNeeded: 5.3,
		Requests: map[string]int64{"v3-2": 4210, "v3-3": 480},
		Tests: []analysis.Test{
			few,
			test("errors", "errors-versus-stable", "promotion", "<2x or slo", 3.4, 3),
			test("errors", "slo", "rollback", "1%", -1.2, 7.2),
			test("latency-p95", "pod-rank", "rollback", ">1.25x", 1.9, 6.4),
			test("latency-p95", "pod-rank", "promotion", "<1.5x", 1.1, 3),
			{Metric: "split", Method: "split-integrity", Direction: "integrity", LogE: .1, LogNeeded: 9.2, Threshold: "25%", Candidate: analysis.Estimate{N: 398, Count: 98, Value: .246}},
		},
	}
}

// gated waits at its gate, blind, with a refusal by a proxy and a bad edit.
func gated() controller.Snapshot {
	s := stepping()
	s.State.Route.Name = "langid"
	r := s.State.Rollout
	r.Phase, r.Step, r.Clock, r.Trips = canary.Approving, 2, time.Time{}, nil
	r.Gate = &canary.Gate{Number: 2, Hash: "3fa9c1d2e4b5", Verdict: analysis.Undecided, At: noon, Opened: noon.Add(-time.Minute)}
	r.Blind = &canary.Blind{Since: noon.Add(-12 * time.Second), Reason: "214 of 1,204 log entries are missing"}
	s.State.Nack = &canary.Nack{Proxy: "sluice-7f3a", Epoch: 9, Text: `<img src=x onerror=alert(1)> listener "ml": address already in use`, At: noon}
	s.Refusal = `spec.versions[1].endpoints: is changed while v3-3 is in a rollout`
	s.Waits = []canary.Wait{
		{Reason: canary.WaitBlind, Text: "blind for 12s: 214 of 1,204 log entries are missing"},
		{Reason: canary.WaitApproval, Text: "review 2 (3fa9c1d2e4b5) waits for approval since 11:59:00Z"},
	}
	return s
}

// returned is a route whose candidate was rolled back.
func returned() controller.Snapshot {
	s := stepping()
	s.State.Route.Name = "summary"
	r := *s.State.Rollout
	s.State.Rollout = nil
	s.State.Published = config.Split{Epoch: 10, Shares: config.Whole("v3-2")}
	s.State.History = []canary.Finished{{
		Rollout: r, Outcome: canary.OutcomeRolledBack, Cause: canary.CauseEvidence, Ended: noon, Confirmed: noon.Add(time.Millisecond),
		Reason: "errors slo 1%: candidate 8.54% (41 of 480), stable 0.095% (4 of 4210), log-e 9.31 of 7.20",
	}}
	s.Waits, s.Remedy = nil, ""
	s.Assessment.Verdict, s.Assessment.Reason, s.Assessment.LogE = analysis.Harmful, s.State.History[0].Reason, 6.2
	s.Assessment.Tests[2].LogE, s.Assessment.Tests[2].Passed = 9.31, true
	s.Conditions = append(s.Conditions, canary.Condition{
		Type: canary.RolledBack, Status: canary.True, Reason: "Evidence", Message: s.State.History[0].Reason + ", and back to v3-2",
	})
	return s
}

// fleet is a Controller that takes verbs down and answers as it is told.
type fleet struct {
	mu       sync.Mutex
	known    []controller.Snapshot
	done     []canary.Event
	told     []analysis.ABReport
	decision canary.Decision
	err      error
}

func (f *fleet) Snapshots() []controller.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]controller.Snapshot(nil), f.known...)
}

func (f *fleet) Snapshot(k config.Key) (controller.Snapshot, bool) {
	for _, s := range f.Snapshots() {
		if s.State.Route == k {
			return s, true
		}
	}
	return controller.Snapshot{}, false
}

func (f *fleet) Do(_ context.Context, _ config.Key, ev canary.Event) (canary.Decision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, ev)
	return f.decision, f.err
}

// Tell takes outcomes of whatever test.
func (f *fleet) Tell(_ context.Context, _ config.Key, reports []analysis.ABReport) (controller.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, reports...)
	return controller.Receipt{Test: "abtest-1", Taken: len(reports)}, f.err
}

func (f *fleet) replace(known ...controller.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = known
}

// shelf is an Archive of one rollout of ml/filetype.
type shelf struct{ err error }

func (s shelf) Decisions(k config.Key, rollout string) ([]canary.Decision, error) {
	if k != filetype() || (rollout != "" && rollout != "v3-3-1") {
		return nil, s.err
	}
	return []canary.Decision{
		{Seq: 1, Route: k, At: noon.Add(-2 * time.Minute), Event: canary.KindConfigured, Actor: canary.Machine, Text: "rollout v3-3-1 begins: v3-3 to replace v3-2"},
		{Seq: 2, Route: k, At: noon.Add(-time.Minute), Event: canary.KindHeld, Actor: "ann", Reason: "lunch", Text: "held by ann: lunch"},
		{Seq: 3, Route: k, At: noon, Event: canary.KindApproved, Actor: "ann", Reason: "fine", Text: "waits for no approval", Refused: true},
	}, s.err
}

func (s shelf) Review(k config.Key, rollout string) (review.Review, error) {
	switch {
	case s.err != nil:
		return review.Review{}, s.err
	case k != filetype() || (rollout != "" && rollout != "v3-3-1"):
		return review.Review{}, fmt.Errorf("%w: %s %q", review.ErrNone, k, rollout)
	}
	return review.Build(review.Facts{
		Route: k, Rollout: *stepping().State.Rollout, Last: *undecided(),
		Versions: []config.Version{{Name: "v3-2"}, {Name: "v3-3"}},
	}, noon)
}

// serverOf makes a Server on a controller, with the rest as simple as can be.
func serverOf(f *fleet, change ...func(*api.Config)) *api.Server {
	c := api.Config{
		Controller: f, Archive: shelf{}, Outcomes: f, Now: func() time.Time { return noon },
		Proxies: func() any { return []string{"sluice-7f3a"} },
		Ready:   func() error { return nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "sluice_up 1") }),
	}
	for _, do := range change {
		do(&c)
	}
	s, err := api.New(c)
	if err != nil {
		panic(err)
	}
	return s
}

var errDisk = errors.New("state.db: disk is full")

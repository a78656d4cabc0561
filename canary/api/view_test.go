package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// comparing is an inference route whose users two arms divide.
func comparing() controller.Snapshot {
	spec := config.ABTest{
		Arms: map[string]config.Percent{"v3-2": percent(50), "v3-3": percent(50)}, Reference: "v3-2", Error: percent(5),
		Outcomes: []config.ABOutcome{{Name: "clicks", Kind: config.ABRate, Better: config.ABHigher}, {Name: "failures", Kind: config.ABErrors, Better: config.ABLower}},
	}
	s := stepping()
	s.State.Rollout, s.Route.Strategy = nil, config.Strategy{ABTest: &spec}
	s.State.ABTests = []canary.ABTest{{ID: "abtest-4", Spec: spec}}
	s.ABTraces = []canary.ABTrace{{
		Test: "abtest-4", Standing: analysis.NewABTest(spec).Judge(analysis.ABEvidence{}), Counts: analysis.ABCounts{Reported: 7, Waiting: 7, Moved: 2, Outside: 3},
	}}
	return s
}

func TestAnABTestIsSentAsItIsShown(t *testing.T) {
	view := func(s controller.Snapshot) (view api.View, test map[string]any) {
		f := &fleet{}
		f.replace(s)
		w := ask(serverOf(f), http.MethodGet, "/api/v1/routes/ml/filetype", "")
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &view))
		var raw map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &raw))
		test, _ = raw["abTest"].(map[string]any)
		return view, test
	}
	s := comparing()
	got, raw := view(s)
	require.Equal(t, []string{"abort"}, got.Verbs)
	require.Equal(t, "abtest-4", raw["id"])
	require.Equal(t, s.ABTraces[0].Counts.String(), raw["counts"], "one sentence for all who show it")
	require.Contains(t, raw["counts"], "served by two arms 2; requests left out 3")
	require.Contains(t, got.Standing, s.ABTraces[0].Standing.Reason)
	require.Equal(t, s.ABTraces[0].Standing.Verdicts, got.ABTest.Verdicts)
	require.Len(t, got.ABTest.Outcomes, 2)
	failures := got.ABTest.Outcomes[1]
	require.Equal(t, config.ABLower, failures.Better)
	require.Nil(t, failures.Arms[0].Difference, "the reference")
	require.Equal(t, "v3-2", failures.Arms[1].Difference.Than)

	s.State.ABTests[0].Left = true
	got, raw = view(s)
	require.Nil(t, raw, "another strategy is asked for")
	require.Nil(t, got.ABTest)
}

// copying is an inference route whose shadow is sent copies, and answers are compared.
func copying() controller.Snapshot {
	s := returned()
	s.State.Route.Name = "copies"
	shadow := config.Shadow{Of: "v3-2", To: "v3-3", Percent: percent(10)}
	s.Route.Strategy = config.Strategy{Shadow: &shadow}
	s.State.Published.Mirror = config.Share{Version: "v3-3", Weight: 1000}
	s.Assessment = &analysis.Assessment{
		Verdict: analysis.Undecided, Reason: "too few",
		Tests: []analysis.Test{
			{Metric: "answers", Method: "slo", Direction: "rollback", Candidate: analysis.Estimate{N: 40, Count: 1, Value: .025}, Idle: "one differs"},
			{Metric: "answers", Segment: "acme", Method: "slo", Direction: "rollback", Candidate: analysis.Estimate{N: 4}, Passed: true},
			{Metric: "split", Method: "split-integrity", Direction: "integrity", Candidate: analysis.Estimate{N: 4}, Passed: true},
		},
		Answers: &analysis.Answers{By: "digest", Threshold: "≤ 1%", Reason: "1 of 40 answers differ", Examples: []analysis.Disagreement{{ID: "r5", Stable: "cat", Shadow: "dog"}}},
	}
	return s
}

func TestWhatAReaderWouldHaveToWorkOutIsSent(t *testing.T) {
	f := &fleet{}
	f.replace(copying())
	w := ask(serverOf(f), http.MethodGet, "/api/v1/routes/ml/copies", "")
	var got struct {
		Standing string
		Tests    []map[string]any
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, "v3-2 serves; v3-3 is sent copies of 10% of its requests, and their answers are compared: nothing is done about them", got.Standing)
	require.Len(t, got.Tests, 3)
	for i, want := range []map[string]string{
		{"name": "answers", "found": "idle: one differs", "candidate": "2.5% (1 of 40)", "stable": "no data"},
		{"name": "answers of acme", "found": "harmful", "candidate": "0% (0 of 4)"},
		{"name": "split", "found": "alarm"},
	} {
		for field, text := range want {
			require.Equal(t, text, got.Tests[i][field], field)
		}
	}
}

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
	require.Equal(t, s.ABTraces[0].Standing.Reason, got.ABTest.Standing)
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

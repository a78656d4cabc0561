package review

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

func tested() ABFacts {
	spec := config.ABTest{
		Arms: map[string]config.Percent{"v1": 500_000, "v2": 500_000}, Reference: "v1", Error: 50_000, Within: config.Duration(time.Hour),
		Outcomes: []config.ABOutcome{{Name: "clicks<b>", Kind: config.ABRate, Better: config.ABHigher}},
	}
	var e analysis.ABEvidence
	for i := range 1000 {
		for arm, clicks := range map[string]int{"v1": 200, "v2": 400} {
			value := int64(0)
			if i < clicks {
				value = 1_000_000
			}
			e.Add("clicks<b>", arm, value)
		}
	}
	standing := analysis.NewABTest(spec).Judge(e)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return ABFacts{
		Route: config.Key{Namespace: "ml", Name: "filetype"},
		Test: canary.ABTest{
			ID: "abtest-1", Spec: spec, Began: at, Ended: at.Add(time.Hour), Cause: canary.CauseEvidence, Winner: standing.Winner, Reason: standing.Reason,
			Versions: []config.Version{{Name: "v1", Endpoints: []string{"127.0.0.1:1"}}, {Name: "v2", Endpoints: []string{"127.0.0.1:2"}}},
		},
		Trace:     canary.ABTrace{Test: "abtest-1", Standing: standing, Counts: analysis.ABCounts{Reported: 640, Counted: 600, Late: 40, Closed: 2000}},
		Decisions: []canary.Decision{{Seq: 1, At: at, Event: canary.KindConfigured, Actor: canary.Machine, Text: "A/B test abtest-1 begins"}},
	}
}

func TestTheReviewOfAnABTestSaysWhoWonAndOnWhat(t *testing.T) {
	r, err := BuildABTest(tested(), tested().Test.Ended)
	require.NoError(t, err)
	data, err := r.JSON()
	require.NoError(t, err)
	back, err := Parse(data)
	require.NoError(t, err, "its hash is that of its content")
	require.Equal(t, "v2", back.ABTest.Winner)
	require.Empty(t, back.Commands)

	page, err := r.HTML()
	require.NoError(t, err)
	for _, want := range []string{
		"<title>Review of ml/filetype: A/B test abtest-1</title>", "v2 wins", "(Evidence)", "the arms keep their shares", "<td>v2</td><td>1000</td><td>0.4</td>",
		"less that of v1 is 0.2, surely from ", "v2 is better", "640 outcomes were reported: 600 counted, 0 waiting, 40 late; units counted 2000", "A/B test abtest-1 begins", "&lt;b&gt;",
	} {
		require.Contains(t, string(page), want)
	}
	require.NotContains(t, string(page), "clicks<b>", "names are not markup")
	require.NotContains(t, string(page), "Who was exposed")
}

func TestTheReviewOfARunningABTestSaysHowToEndIt(t *testing.T) {
	f := tested()
	f.Test.Ended, f.Test.Winner, f.Test.Cause = time.Time{}, "", ""
	f.Decisions = append(f.Decisions, canary.Decision{Seq: 2, Actor: "alice", Reason: "why not", Event: canary.KindAborted, Text: "refused", Refused: true})
	r, err := BuildABTest(f, f.Test.Began)
	require.NoError(t, err)
	require.Equal(t, "sluice abort ml/filetype --reason '…'", r.Commands[0].Line)
	require.Len(t, r.Overrides, 1)
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), "in progress")
}

package review_test

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

var began = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func facts() review.Facts {
	rollout := canary.Rollout{
		ID: "v2-1", Stable: "v1", Candidate: "v2", Began: began, Phase: canary.Stepping,
		Verdict: analysis.Harmful,
		Passages: []canary.Passage{
			{Epoch: 7, Phase: canary.Stepping, Weight: 500, Desired: began, Acked: began.Add(2 * time.Millisecond), Observed: began.Add(40 * time.Millisecond)},
			{Epoch: 8, Phase: canary.Idle, Weight: 0, Desired: began.Add(time.Second)},
		},
	}
	return review.Facts{
		Route:   config.Key{Namespace: "ml", Name: "filetype"},
		Rollout: rollout,
		Finished: &canary.Finished{
			Rollout: rollout, Outcome: canary.OutcomeRolledBack, Cause: canary.CauseEvidence,
			Reason: `errors 9 of 12, <b>"limit"</b> 1%`, Ended: began.Add(time.Second),
		},
		Versions: []config.Version{{Name: "v1"}, {Name: "v2", Model: &config.Model{Name: "magika", Version: "3.3"}}},
		Exposure: []review.Exposure{{Version: "v2", Role: "candidate", Requests: 12, Errors: 9, First: began, Last: began.Add(900 * time.Millisecond)}},
		Last: analysis.Assessment{LogE: 6.1, LogNeeded: 5.3, Tests: []analysis.Test{
			{Metric: "errors", Method: "slo", Direction: "rollback", LogE: 6.1, LogNeeded: 5.3, Passed: true, Candidate: analysis.Estimate{N: 12, Count: 9, Value: .75}, Threshold: "max 1%"},
			{Metric: "latency-p95", Method: "pod-rank", Direction: "promotion", LogNeeded: 3},
		}},
		Decisions: []canary.Decision{
			{Seq: 1, At: began, Event: canary.KindConfigured, Actor: canary.Machine, Text: "begins"},
			{Seq: 2, At: began, Event: canary.KindHeld, Actor: "ann", Reason: "lunch", Text: "holds"},
		},
	}
}

func TestBuild(t *testing.T) {
	r, err := review.Build(facts(), began.Add(2*time.Second))
	require.NoError(t, err)

	t.Run("equal facts give an equal hash", func(t *testing.T) {
		again, err := review.Build(facts(), began.Add(2*time.Second))
		require.NoError(t, err)
		require.Equal(t, r.Hash, again.Hash)
		require.Len(t, r.Hash, 64)
	})
	t.Run("a split nobody acknowledged and a test without data are named", func(t *testing.T) {
		require.Equal(t, []string{
			"epoch 8 (Idle at 0%) was never acknowledged by every connected proxy",
			"latency-p95 by pod-rank (promotion) saw no candidate data",
		}, r.NotMeasured)
	})
	t.Run("what people did stands apart", func(t *testing.T) {
		require.Len(t, r.Overrides, 1)
		require.Equal(t, "ann", r.Overrides[0].Actor)
		require.Len(t, r.Log, 2)
	})
	t.Run("a finished rollout offers no commands, a running one does", func(t *testing.T) {
		require.Empty(t, r.Commands)
		f := facts()
		f.Finished = nil
		f.Rollout.Phase = canary.Approving
		f.Rollout.Gate = &canary.Gate{Number: 1, Hash: "0123456789ab"}
		running, err := review.Build(f, began)
		require.NoError(t, err)
		require.Contains(t, running.Commands[0].Line, "sluice approve ml/filetype --hash 0123456789ab")
	})
	t.Run("delays are from the wish", func(t *testing.T) {
		require.InDelta(t, 2, r.Steps[0].AckDelay, 1e-9)
		require.InDelta(t, 40, r.Steps[0].ObserveDelay, 1e-9)
		require.Zero(t, r.Steps[1].AckDelay)
	})
}

func TestAnswersOfAShadowAreShownWithExamples(t *testing.T) {
	f := facts()
	f.Last.Answers = &analysis.Answers{
		By: config.CompareDigest, Pairs: 400, Differ: 12, Threshold: "≤ 1% differ", Reason: "12 of 400 answers differ from stable's: 97% agree (94% to 98%)",
		Left:     map[analysis.LeftOut]int64{analysis.LeftUnsent: 3},
		Examples: []analysis.Disagreement{{ID: "3f2c-1", Stable: "cat", Shadow: "<i>dog</i>"}},
	}
	r, err := review.Build(f, began)
	require.NoError(t, err)
	require.Equal(t, f.Last.Answers, r.Evidence.Answers)
	require.Contains(t, r.NotMeasured, "the answers to 3 copied requests were not compared: unsent")
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), "<td><code>3f2c-1</code></td><td>cat</td><td>&lt;i&gt;dog&lt;/i&gt;</td>")
	require.Contains(t, string(page), "12 of 400 answers differ")
}

func TestAProxyThatHasNotHeardOfTheEndIsNamed(t *testing.T) {
	f := facts()
	f.Finished.Confirmed, f.Finished.Unconfirmed = began.Add(1200*time.Millisecond), []string{"<deaf>"}
	r, err := review.Build(f, began.Add(2*time.Second))
	require.NoError(t, err)
	require.Equal(t, []string{"<deaf>"}, r.Decision.Unconfirmed)
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), "confirmed by every connected proxy after 200ms, but for &lt;deaf&gt;: no longer waited for")
}

func TestATestOfASegmentSaysSo(t *testing.T) {
	f := facts()
	f.Last.Tests[0].Segment, f.Last.Tests[1].Segment = "<acme>", "small"
	r, err := review.Build(f, began)
	require.NoError(t, err)
	require.Contains(t, r.NotMeasured, "latency-p95 of small by pod-rank (promotion) saw no candidate data")
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), "<td>errors of &lt;acme&gt;</td><td>slo</td>")
}

func TestASplitThatIsAsItWasAskedForIsNotColouredAsAnAlarm(t *testing.T) {
	f := facts()
	f.Last.Tests[0].Direction, f.Last.Tests[0].Passed, f.Last.Tests[0].Candidate.N = "integrity", false, 4
	r, err := review.Build(f, began)
	require.NoError(t, err)
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), `<td class="">no alarm</td>`)
}

func TestParse(t *testing.T) {
	r, err := review.Build(facts(), began)
	require.NoError(t, err)
	data, err := r.JSON()
	require.NoError(t, err)

	t.Run("reads back what was written", func(t *testing.T) {
		got, err := review.Parse(data)
		require.NoError(t, err)
		require.Equal(t, r.Hash, got.Hash)
	})
	t.Run("refuses a page whose content was changed", func(t *testing.T) {
		_, err := review.Parse([]byte(strings.Replace(string(data), `"requests": 12`, `"requests": 13`, 1)))
		require.ErrorContains(t, err, "but the content has")
	})
	t.Run("refuses what is added to it", func(t *testing.T) {
		_, err := review.Parse([]byte(strings.Replace(string(data), `"requests": 12`, `"requests": 12, "cheers": 13`, 1)))
		require.ErrorContains(t, err, "but the content has")
		_, err = review.Parse([]byte(strings.Replace(string(data), `"requests": 12`, `"requests": 13, "requests": 12`, 1)))
		require.ErrorContains(t, err, "but the content has", "who reads it may take the first for it")
	})
	t.Run("does not mind how it is laid out", func(t *testing.T) {
		_, err := review.Parse([]byte(strings.ReplaceAll(string(data), "\n", "\r\n\t")))
		require.NoError(t, err)
	})
	t.Run("has the hash of its lines without their indents, and without the hash", func(t *testing.T) {
		text := regexp.MustCompile(`(?m)^ +|\n`).ReplaceAllString(string(data), "")
		text = regexp.MustCompile(`("\w+":) `).ReplaceAllString(text, "$1")
		require.Contains(t, text, r.Hash)
		require.Equal(t, r.Hash, fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Replace(text, r.Hash, "", 1)))))
	})
	t.Run("refuses another schema", func(t *testing.T) {
		_, err := review.Parse([]byte(`{"schema":"x"}`))
		require.ErrorContains(t, err, `found "x"`)
	})
}

func TestHTML(t *testing.T) {
	r, err := review.Build(facts(), began.Add(2*time.Second))
	require.NoError(t, err)
	page, err := r.HTML()
	require.NoError(t, err)
	text := string(page)

	require.Contains(t, text, r.Hash, "the page names its content")
	require.Contains(t, text, "9 of 12 (75%)")
	require.Contains(t, text, "6.10 of 5.30")
	require.NotContains(t, text, `<b>"limit"`, "what others wrote is escaped")
	for _, outside := range []string{"http://", "https://", "<script", "<link", "@import"} {
		require.NotContains(t, text, outside, "the page is self-contained")
	}
}

package plane

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

var testManifest = filled(`apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype, namespace: ml}
spec:
  hostnames: [filetype.ml]
  listener: {port: {{.Port}}}
  timeouts: {request: 1s}
  versions:
    - name: v1
      endpoints: {{list .V1}}
      health: {path: /ready, interval: 200ms}
    - name: v2
      endpoints: {{list .V2}}
      health: {path: /ready, interval: 200ms}
  stickiness: {header: x-user-id}
  strategy:
    abTest:
      arms: {v1: 50%, v2: 50%}
      reference: v1
      within: 1s
      planned: 150
      outcomes:
        - {name: {{.Outcome}}, kind: rate}
        - {name: failures, kind: errors}
      {{with .EndsBy}}endsBy: {{.}}{{end}}
`)

// compare puts an A/B test in place and waits until it runs.
func (s *scene) compare(outcome, endsBy, id string) controller.Snapshot {
	s.put(testManifest, map[string]any{
		"Port": s.port, "V1": addresses(s.v1), "V2": addresses(s.v2), "Outcome": outcome, "EndsBy": endsBy,
	})
	return s.until("the A/B test runs", func(now controller.Snapshot) bool {
		test := now.State.RunningTest()
		return test != nil && test.ID == id && now.State.Acked == now.State.Published.Epoch
	})
}

// users ask once each, and like what they got as often as their arm's rate says. What
// they liked is given back as lines, half of it by their name and half by their request.
func (s *scene) users(name string, n int, likes map[string]float64, outcome string) string {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var said strings.Builder
	for i := range n {
		unit := fmt.Sprintf("%s-%d", name, i)
		got, err := s.as(s.context(), unit)
		require.NoError(s.t, err)
		require.Contains(s.t, likes, got.version)
		if rng.Float64() >= likes[got.version] {
			continue
		}
		who := fmt.Sprintf(`"unit":%q`, unit)
		if i%2 == 0 {
			who = fmt.Sprintf(`"request":%q`, got.id)
		}
		fmt.Fprintf(&said, "{%s,\"outcome\":%q,\"value\":1}\n", who, outcome)
	}
	return said.String()
}

// send reports outcomes as a person would.
func (s *scene) send(lines string) string {
	file := filepath.Join(s.t.TempDir(), "outcomes.jsonl")
	require.NoError(s.t, os.WriteFile(file, []byte(lines), 0o600))
	return s.sluice("outcomes", "send", key.String(), "-f", file)
}

func TestAnABTestNamesTheVersionThatUsersLike(t *testing.T) {
	s := newScene(t, "{}", "  strategy: {canary: {steps: [{weight: 10%}]}}")
	before := s.compare("clicks", "decision", "abtest-1")
	lines := s.users("first", 300, map[string]float64{"v1": .2, "v2": .6}, "clicks")
	n := strings.Count(lines, "\n")
	require.Equal(t, fmt.Sprintf("ml/filetype: %d outcomes taken for abtest-1, 0 refused\n", n), s.send(lines))
	require.Equal(t, fmt.Sprintf("ml/filetype: %d outcomes taken for abtest-1, 0 refused\n", n), s.send(lines), "a file may be sent again")

	ended := s.until("a winner is named", func(now controller.Snapshot) bool {
		return len(now.State.ABTests) == 1 && !now.State.ABTests[0].Runs()
	})
	test, seen, ok := ended.ABTest()
	require.True(t, ok)
	require.Equal(t, "v2", test.Winner, test.Reason)
	require.Equal(t, canary.CauseEvidence, test.Cause)
	require.Equal(t, before.State.Published, ended.State.Published, "nobody moves")
	require.GreaterOrEqual(t, seen.Counts.Duplicate+seen.Counts.Late, int64(n)/2, "%+v", seen.Counts)
	require.Zero(t, seen.Counts.Unknown)
	require.Contains(t, s.explain(), "v2 is better against v1: clicks of v2 less that of v1 is ")
	_, err := s.client().Tell(s.context(), key, nil)
	require.ErrorIs(t, err, api.ErrRefused)

	// A pair of equals has no winner, over a restart too.
	s.compare("likes", "", "abtest-2")
	lines = s.users("second", 300, map[string]float64{"v1": .4, "v2": .4}, "likes")
	s.send(lines)
	counted := func(now controller.Snapshot) bool {
		_, seen, ok := now.ABTest()
		return ok && seen.Test == "abtest-2" && seen.Counts.Closed == 300
	}
	_, seen, _ = s.until("all users are counted", counted).ABTest()
	require.Equal(t, int64(strings.Count(lines, "\n")), seen.Counts.Counted, "%+v", seen.Counts)
	require.Empty(t, seen.Standing.Winner, seen.Standing.Reason)
	require.Equal(t, analysis.ABUndecided, seen.Standing.Verdicts[0].Standing)
	require.NoError(t, s.plane.Stop(patience))
	s.start()
	_, again, _ := s.until("the evidence is still there", counted).ABTest()
	require.Equal(t, seen, again)

	require.Contains(t, s.do("abort", api.Verb{}).Text, "A/B test abtest-2 ends (Aborted)")
	for id, want := range map[string]string{"abtest-1": "v2 wins", "abtest-2": "ended without a winner"} {
		page := filepath.Join(s.config.State, "reviews", "ml", "filetype", id, "review.html")
		s.until("the review of "+id+" is written", func(controller.Snapshot) bool {
			data, err := os.ReadFile(page)
			return err == nil && strings.Contains(string(data), want)
		})
	}
}

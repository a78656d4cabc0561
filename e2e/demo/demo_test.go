package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// manifests of all stories, as the demo would write them, and its policy.
func parse(t *testing.T, target string) *config.Config {
	t.Helper()
	folder := t.TempDir()
	docs := []config.Document{{Name: "policy.yaml", Data: policyYAML}}
	for i, s := range stories() {
		m := manifest{Story: s, Namespace: namespace, Model: model, Port: 8080, Target: target}
		for k, v := range []string{stable, candidate} {
			endpoint := "127.0.0.1:" + string(rune('1'+i)) + "00" + string(rune('1'+k))
			m.Versions = append(m.Versions, version{Name: v, Endpoints: []string{endpoint}, Digest: strings.Repeat("ab", 32)})
		}
		require.NoError(t, m.write(folder))
		text, err := os.ReadFile(filepath.Join(folder, s.Name+".yaml"))
		require.NoError(t, err)
		docs = append(docs, config.Document{Name: s.Name + ".yaml", Data: text})
	}
	c, err := config.Parse(docs...)
	require.NoError(t, err)
	return c
}

func TestManifests(t *testing.T) {
	before, after := parse(t, stable), parse(t, candidate)
	for _, s := range stories() {
		was, ok := before.Route(s.Key())
		require.True(t, ok)
		require.Equal(t, stable, was.Target)
		require.Equal(t, config.MirroringAllowed, was.Mirroring, "settling a trip needs it")
		require.Len(t, was.Strategy.Canary.Steps, len(s.Steps))
		is, ok := after.Route(s.Key())
		require.True(t, ok)
		was.Target = candidate
		require.Equal(t, was.RouteSpec, is.RouteSpec, "nothing but the target changes")
	}
}

func TestThePolicyIsAsSureAsStandard(t *testing.T) {
	policy, ok := parse(t, stable).Policy(config.Key{Namespace: namespace, Name: "demo"})
	require.True(t, ok)
	standard := config.Standard()
	assert.Equal(t, standard.Confidence, policy.Confidence)
	assert.Equal(t, standard.Trip.Level, policy.Trip.Level)
	assert.Equal(t, standard.Metrics[0], policy.Metrics[0], "errors are judged alike")
	assert.Equal(t, standard.Metrics[1].VersusStable, policy.Metrics[1].VersusStable, "latency has the same margins")
}

func TestProven(t *testing.T) {
	good, broken := stories()[0], stories()[1]
	tests := []struct {
		name    string
		story   story
		outcome canary.Outcome
		cause   canary.Cause
		want    string
	}{
		{"promoted by evidence", good, canary.OutcomePromoted, canary.CauseEvidence, ""},
		{"promoted by a person", good, canary.OutcomePromoted, canary.CauseOverride, "good: promoted, but not by evidence"},
		{"the good one rolled back", good, canary.OutcomeRolledBack, canary.CauseTrip, "good: promoted was expected, found rolledBack"},
		{"rolled back by a final test", broken, canary.OutcomeRolledBack, canary.CauseEvidence, ""},
		{"rolled back by what was mirrored", broken, canary.OutcomeRolledBack, canary.CauseTrip, ""},
		{"rolled back by trips alone", broken, canary.OutcomeRolledBack, canary.CauseTripLimit, "broken: rolledBack, but not by evidence"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.story.proven(canary.Finished{Outcome: test.outcome, Cause: test.cause})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestResultIsWhatUsersGot(t *testing.T) {
	tell := told()
	got := tell.result("/demo/state")
	assert.Equal(t, result{
		Name: "broken", Expected: canary.OutcomeRolledBack, Outcome: canary.OutcomeRolledBack,
		ExposureSeconds: 1.5, CandidateRequests: 2, TotalRequests: 5, UserFailures: 2,
		Review: "/demo/state/reviews/demo/broken/v3-3-1/review.json",
	}, got)
	tell.finished = nil
	got = tell.result("/demo/state")
	assert.Empty(t, got.Outcome)
	assert.Empty(t, got.Review)
}

// told is a story of five requests, two of them to the candidate under epoch 2.
func told() *telling {
	tell := &telling{story: stories()[1]}
	began := time.Unix(100, 0)
	for i, a := range []stage.Answer{
		{Version: stable, Epoch: 1, Status: 200},
		{Version: candidate, Epoch: 2, Status: 500},
		{Version: stable, Epoch: 2, Status: 200},
		{Status: 0, Err: os.ErrDeadlineExceeded},
		{Version: candidate, Epoch: 2, Status: 200},
	} {
		a.Scheduled = began.Add(time.Duration(i) * 500 * time.Millisecond)
		tell.record.Add(a)
	}
	tell.finished = &canary.Finished{Rollout: canary.Rollout{ID: "v3-3-1"}, Outcome: canary.OutcomeRolledBack}
	return tell
}

func TestStanding(t *testing.T) {
	tell := told()
	line, _ := tell.standing()
	assert.Equal(t, "waits for the rollout to begin", line)

	r := canary.Rollout{
		Phase: canary.Stepping, Candidate: candidate, Verdict: analysis.Undecided,
		Steps: []config.Step{{Weight: 100_000}, {Weight: 500_000}},
	}
	tell.last = controller.Snapshot{
		State: canary.State{
			Rollout: &r, Acked: 2,
			Published: config.Split{Epoch: 2, Shares: config.Carve(stable, candidate, 1000, 0)},
		},
		Assessment: &analysis.Assessment{LogE: 1.25, LogNeeded: 5.3, Tests: []analysis.Test{
			{Metric: "errors", Direction: "promotion", LogE: 2, LogNeeded: 3.3},
			{Metric: "latency-p50", Direction: "promotion", LogE: -1, LogNeeded: 3},
		}},
	}
	line, numbers := tell.standing()
	assert.Equal(t, "step 1/2: 10% wanted, acked · undecided", line)
	assert.Equal(t, ", 67% seen · 2 of 5 requests, 2 failed · harm 1.2/5.3 · safe: errors 2.0/3.3", numbers)

	tell.last.State.Acked, r.Phase = 1, canary.Tripped
	tell.last.State.Published.Mirror = config.Share{Version: candidate, Weight: 1000}
	tell.last.Ruling = &controller.Ruling{N: 3, LogE: 4, LogNeeded: 7.6}
	line, numbers = tell.standing()
	assert.Equal(t, "tripped: 10% wanted, not yet acked, 10% mirrored · undecided", line)
	assert.Contains(t, numbers, "harm in 3 mirrored: 4.0/7.6")
}

func TestTheFolderIsOneDemos(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll("bin", 0o755))
	require.NoError(t, os.WriteFile("bin/sluice", nil, 0o755))
	require.NoError(t, os.MkdirAll(".demo/logs", 0o755))
	require.NoError(t, os.WriteFile(".demo/logs/old.log", nil, 0o644))
	first, err := claim(t.Context(), ".demo")
	require.NoError(t, err)
	require.NoFileExists(t, ".demo/logs/old.log", "what a demo before left is gone")
	_, err = claim(t.Context(), ".demo")
	require.ErrorContains(t, err, "another demo runs in it")
	require.NoError(t, first.close(t.Context()))
	again, err := claim(t.Context(), ".demo")
	require.NoError(t, err)
	require.NoError(t, again.close(t.Context()))
}

func TestShort(t *testing.T) {
	assert.Equal(t, "as it is", short("as it is"))
	long := []rune(short(strings.Repeat("ä", 400)))
	assert.Len(t, long, 150)
	assert.Equal(t, '…', long[149])
}

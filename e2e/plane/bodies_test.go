package plane

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// writer is a model server that nobody can change: it says its label in JSON.
func writer(t *testing.T, label func() string) string {
	return answering(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id": "%d", "label": %q, "user": "Ann", "text": %q}`, rand.Int64(), label(), strings.Repeat("x", 2_000))
	})
}

// scorer is one that says its scores.
func scorer(t *testing.T, scores string) string {
	return answering(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"outputs": [{"data": %s}]}`, scores) })
}

// talker answers at length, and takes its time.
func talker(t *testing.T) string {
	long := strings.Repeat(`"Ann", `, analysis.LongestBody/7)
	return answering(t, func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(20 * time.Millisecond)
		fmt.Fprintf(w, `[%s "Bob", "Cid"]`, long)
	})
}

// Bodies of answers to copies are compared on the real Envoy, of servers that say nothing
// of their answers: each comparator finds what it is for, and no more. A canary's step of
// copies ends as the answers say, with examples.
func TestBodiesOfAnswersAreCompared(t *testing.T) {
	t.Parallel() // its few clients mostly wait
	whole := "{shadow: {of: v1, to: v2, percent: 100%}}"
	all := []subject{
		{Name: "alike", Policy: "alike", Strategy: whole, V1: writer(t, always), V2: writer(t, always)},
		{Name: "moody", Policy: "labels", Strategy: whole, V1: writer(t, moody), V2: writer(t, moody)},
		{Name: "other-two", Policy: "top", Strategy: whole, V1: scorer(t, "[0.1, 0.7, 0.2]"), V2: scorer(t, "[0.1, 0.4, 0.5]")},
		{Name: "near", Policy: "near", Strategy: whole, V1: scorer(t, "[1, 0.5]"), V2: scorer(t, "[1.005, 0.491]")},
		{Name: "turned", Policy: "direction", Strategy: whole, V1: scorer(t, "[1, 0]"), V2: scorer(t, "[1, 0.5]")},
		{Name: "long", Policy: "alike", Strategy: whole, V1: talker(t), V2: talker(t)},
		{
			Name: "stepping", Policy: "bodies", Strategy: "{canary: {steps: [{shadow: 100%, for: 1s}, {weight: 50%}]}}",
			V1: writer(t, always), V2: writer(t, everyFiftieth()),
		},
	}
	for i := range all {
		all[i].Clients = 1
	}
	s := studio(t, all)
	for i, want := range []analysis.Verdict{analysis.Healthy, analysis.Healthy, analysis.Harmful, analysis.Healthy, analysis.Harmful} {
		got := s.awaits(all[i].key(), string(want), verdict(want)).Assessment
		t.Logf("%s: %s", all[i].Name, got.Answers.Reason)
		if all[i].Name == "moody" {
			require.Greater(t, got.Answers.Noise.Value, 0.3, "stable differs from itself")
		}
	}
	long, step := all[5], all[6]
	s.awaits(long.key(), "is not compared", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Answers.Left[analysis.LeftLong] > 10
	})
	end := s.awaits(step.key(), "is rolled back", func(s controller.Snapshot) bool { return len(s.State.History) > 0 })
	require.Equal(t, canary.OutcomeRolledBack, end.State.History[0].Outcome)
	report, err := s.client().Review(s.context(), step.key(), "")
	require.NoError(t, err)
	got := report.Evidence.Answers
	_, toBlame := s.bounds(step)
	t.Logf("%s: %s; plan said %d", step.Name, got.Reason, toBlame)
	require.LessOrEqual(t, got.Pairs, toBlame)
	require.NotEmpty(t, got.Examples, "people see which")
	for _, d := range got.Examples {
		require.Contains(t, d.Stable, `{"label":"cat","text":"xxx`)
		require.Contains(t, d.Shadow, `{"label":"dog","text":"xxx`)
		require.NotContains(t, d.Stable+d.Shadow, "Ann")
	}
	for _, of := range all {
		if wrong := of.wrong.Load(); wrong != nil {
			require.NoError(t, *wrong, of.Name)
		}
	}
}

// Who reads bodies is on nobody's way: while it is away, or hangs, users are served as
// ever, and neither version is blamed for what was not read.
func TestNobodyNoticesThatBodiesAreNotRead(t *testing.T) {
	t.Parallel() // with other absences: it mostly waits
	all := []subject{{
		Name: "alike", Policy: "bodies", Strategy: "{shadow: {of: v1, to: v2, percent: 100%}}",
		V1: writer(t, always), V2: writer(t, always), Clients: 1,
	}}
	s := newStudio(t, all, "")
	bodies := s.relay("als.sock")
	bodies.cut()
	s.ownEnvoy("own", s.relay("xds.sock"), s.relay("als.sock"), "--tap", bodies.path)
	s.awaits(all[0].key(), "serves", func(now controller.Snapshot) bool { return now.State.Acked > 0 })
	s.sendTo(&all[0])

	got := s.awaits(all[0].key(), "is not read", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Answers.Left[analysis.LeftUnmatched] > 200
	}).Assessment
	t.Logf("unread: %s", got.Answers.Reason)
	require.Zero(t, got.Answers.Pairs)
	require.Equal(t, analysis.Undecided, got.Verdict)

	require.NoError(t, bodies.open())
	got = s.awaits(all[0].key(), "is read", func(now controller.Snapshot) bool { return now.Assessment.Answers.Pairs > 200 }).Assessment
	t.Logf("read: %s", got.Answers.Reason)
	require.Zero(t, got.Answers.Differ)

	bodies.hold()
	unread := got.Answers.Left[analysis.LeftUnmatched]
	got = s.awaits(all[0].key(), "hangs", func(now controller.Snapshot) bool {
		return now.Assessment.Answers.Left[analysis.LeftUnmatched] > unread+500
	}).Assessment
	bodies.release()
	t.Logf("held: %s", got.Answers.Reason)
	require.Zero(t, got.Answers.Differ)
	if wrong := all[0].wrong.Load(); wrong != nil {
		require.NoError(t, *wrong)
	}
}

package plane

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/controller"
)

// writer is a model server that nobody can change: it says its label in JSON.
func writer(t *testing.T, label func() string) string {
	return answering(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id": "%d", "label": %q, "user": "Ann", "text": %q}`, rand.Int64(), label(), strings.Repeat("x", 2_000))
	})
}

// Bodies of answers to copies are compared on the real Envoy, of servers that say nothing
// of their answers: what differs is named, with examples, and what does not is not.
func TestBodiesOfAnswersAreCompared(t *testing.T) {
	whole := "{shadow: {of: v1, to: v2, percent: 100%}}"
	all := []subject{
		{Name: "alike", Policy: "bodies", Strategy: whole, V1: writer(t, always), V2: writer(t, always), Clients: 2},
		{Name: "unlike", Policy: "bodies", Strategy: whole, V1: writer(t, always), V2: writer(t, everyFiftieth()), Clients: 2},
	}
	s := studio(t, all)
	alike, unlike := all[0], all[1]

	got := s.awaits(unlike.key(), "is named", verdict(analysis.Harmful)).Assessment
	_, toBlame := s.bounds(unlike)
	t.Logf("unlike: %s; plan said %d", got.Answers.Reason, toBlame)
	require.LessOrEqual(t, got.Answers.Pairs, toBlame)
	require.NotEmpty(t, got.Answers.Examples)
	for _, d := range got.Answers.Examples {
		require.Contains(t, d.Stable, `{"label":"cat","text":"xxx`)
		require.Contains(t, d.Shadow, `{"label":"dog","text":"xxx`)
		require.NotContains(t, d.Stable+d.Shadow, "Ann")
	}
	got = s.awaits(alike.key(), "passes", verdict(analysis.Healthy)).Assessment
	t.Logf("alike: %s", got.Answers.Reason)
	require.Zero(t, got.Answers.Differ)
	for _, of := range all {
		if wrong := of.wrong.Load(); wrong != nil {
			require.NoError(t, *wrong, of.Name)
		}
	}
}

// Who reads bodies is on nobody's way: while it is away users are served as ever, and
// neither version is blamed for what was not read.
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
	if wrong := all[0].wrong.Load(); wrong != nil {
		require.NoError(t, *wrong)
	}
}

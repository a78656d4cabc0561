package plane

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/e2e/stage"
	"github.com/sluice-dev/sluice/serving/server/passthrough"
)

// generator is a stand-in server of OpenAI's protocol that streams a chat.
type generator struct {
	first, each time.Duration // until the first token, and from one to the next
	tokens      int
	// release ends the answer instead, after its first token. Nil: nothing needs to.
	release <-chan struct{}
}

func (g generator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ready" {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_ = http.NewResponseController(w).Flush() // headers at once, as such servers do
	pause := time.NewTimer(g.first)
	defer pause.Stop()
	for range g.tokens {
		select {
		case <-pause.C:
			pause.Reset(g.each)
		case <-r.Context().Done():
			return
		}
		_, _ = fmt.Fprint(w, `data: {"choices":[{"delta":{"content":"a"}}]}`, "\n\n") // who left needs none
		_ = http.NewResponseController(w).Flush()
	}
	if g.release != nil {
		select {
		case <-g.release:
		case <-r.Context().Done():
		}
	}
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}

// counting stands before it as sluice-serve proxy does.
func (g generator) counting(t *testing.T) string {
	target, err := url.Parse("http://" + g.bare(t))
	require.NoError(t, err)
	handler, err := passthrough.New(passthrough.Config{Target: target, Limit: 10_000})
	require.NoError(t, err)
	return address(t, handler)
}

// bare is the server itself, which says of no answer how many tokens it has.
func (g generator) bare(t *testing.T) string { return address(t, g) }

// chat is an inference route with a candidate, and what its clients got.
type chat struct {
	Name   string
	V1, V2 []string

	record *stage.Record
}

func (c chat) key() config.Key { return config.Key{Namespace: "ml", Name: c.Name} }

var chats = filled(`apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: tokens, namespace: ml}
spec:
  confidence: {falseRollback: 1%}
  warmup: {perPod: 500ms}
  unit: {block: 1s}
  metrics:
    - {name: ttfb, quantiles: [p50], versusStable: {rollbackIf: ">1.3x", promoteIf: "<2x"}}
    - {name: tpot, quantiles: [p50], versusStable: {rollbackIf: ">1.3x", promoteIf: "<2x"}}
{{range .Chats}}---
apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: {{.Name}}, namespace: ml}
spec:
  hostnames: [{{.Name}}.ml]
  listener: {port: {{$.Port}}}
  protocol: openai
  timeouts: {request: 2m}
  versions:
    - {name: v1, endpoints: {{list .V1}}, health: {path: /ready, interval: 1s}}
    - {name: v2, endpoints: {{list .V2}}, health: {path: /ready, interval: 1s}}
  analysis: {policy: tokens}
  strategy: {canary: {steps: [{weight: 50%, for: 10m}]}}
  target: {{$.Target}}
  initialStable: v1
{{end}}`)

// chatroom is a control plane with its Envoy and the chats, each with its load, and
// then with its candidate.
func chatroom(t *testing.T, all []chat) *scene {
	s := newBareScene(t, parts.Envoy(t))
	write := func(target string) {
		s.put(chats, map[string]any{"Port": s.port, "Chats": all, "Target": target})
	}
	write("v1")
	s.begin()
	for i := range all {
		all[i].record = &stage.Record{}
		s.talk(all[i])
	}
	write("v2")
	return s
}

// talk sends open-loop requests until the test ends.
func (s *scene) talk(to chat) {
	s.under(stage.Load{
		URL: fmt.Sprintf("http://127.0.0.1:%d/v1/chat/completions", s.port), Host: to.Name + ".ml", Rate: 20, Seed: 7,
		Bodies: [][]byte{[]byte(`{"model": "m", "stream": true}`)}, Heard: to.record.Add,
	})
}

// Streams are judged on the real Envoy by when they begin and how fast they go on: by
// the first token while they run, and by the time per token whatever their length.
func TestStreamsAreJudgedByTheirTokens(t *testing.T) {
	release := make(chan struct{})
	usual := generator{first: 60 * time.Millisecond, each: 30 * time.Millisecond, tokens: 10}
	slow, endless := usual, usual
	slow.each *= 2
	endless.tokens, endless.release = 1, release
	late := endless
	late.first *= 4
	pair := func(a, b func(*testing.T) string) []string { return []string{a(t), b(t)} }
	twice := func(g generator) []string { return pair(g.counting, g.counting) }
	all := []chat{
		{Name: "slow", V1: twice(usual), V2: twice(slow)},
		{Name: "late", V1: twice(endless), V2: twice(late)},
		{Name: "equal", V1: twice(usual), V2: twice(usual)},
		{Name: "silent", V1: twice(usual), V2: pair(usual.bare, usual.bare)},
	}
	s := chatroom(t, all)
	var released atomic.Bool
	t.Cleanup(func() { // before the load ends, which waits for its answers
		if released.CompareAndSwap(false, true) {
			close(release)
		}
	})

	end := s.awaits(all[1].key(), "is rolled back while it runs", rolledBack)
	t.Logf("late: %s", end.State.History[0].Reason)
	require.Contains(t, end.State.History[0].Reason, "ttfb-p50 pod-rank >1.3x")
	require.Zero(t, end.Traces[0].Candidate.Requests, "none of its answers has ended")
	released.Store(true)
	close(release)

	end = s.awaits(all[0].key(), "is rolled back", rolledBack)
	t.Logf("slow: %s", end.State.History[0].Reason)
	require.Contains(t, end.State.History[0].Reason, "tpot-p50 pod-rank >1.3x")
	require.Equal(t, canary.OutcomeRolledBack, end.State.History[0].Outcome)

	still := s.awaits(all[3].key(), "is undecided", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Why.Kind == analysis.WhyUnmeasured
	})
	t.Logf("silent: %s", still.Assessment.Reason)
	require.Equal(t, analysis.Undecided, still.Assessment.Verdict)
	require.Regexp(t, `^metric tpot: none of \d+ answers of v2 says`, still.Assessment.Reason)

	still = s.awaits(all[2].key(), "was judged as long as the others", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Requests["v2"] >= 60
	})
	t.Logf("equal: %s", still.Assessment.Reason)
	require.Empty(t, still.State.History)
	require.NotEqual(t, analysis.Harmful, still.Assessment.Verdict)
	for _, c := range all {
		require.Empty(t, c.record.Answers().Failed(), c.Name)
	}
}

package plane

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/parts"
)

// labeller is a model server that says its label in a header.
func labeller(t *testing.T, label func() string) string {
	return answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-sluice-digest", label())
		_, _ = io.WriteString(w, "an answer") // who left needs none
	})
}

func answering(t *testing.T, answer http.HandlerFunc) string {
	return address(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			answer(w, r)
		}
	}))
}

func always() string { return "cat" }

// everyFiftieth differs in 2% of its answers.
func everyFiftieth() func() string {
	var n atomic.Int64
	return func() string {
		if n.Add(1)%50 == 0 {
			return "dog"
		}
		return "cat"
	}
}

// moody answers otherwise three times of ten, as a model with a temperature does.
func moody() string {
	if rand.Float64() < 0.3 {
		return fmt.Sprint(rand.Int64())
	}
	return "cat"
}

// subject is an inference route that is sent requests.
type subject struct {
	Name, Policy, Strategy string
	V1, V2                 string
	Clients                int

	wrong *atomic.Pointer[error]
}

func (s subject) key() config.Key { return config.Key{Namespace: "ml", Name: s.Name} }

var subjects = filled(`apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: once, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: digest, within: 2s}, slo: {max: 1%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: strict, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: digest, within: 2s}, slo: {max: 0.5%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: bodies, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: json, ignore: [id], hide: [user], within: 2s}, slo: {max: 0.5%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: alike, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: json, ignore: [id], within: 2s}, slo: {max: 2%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: labels, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: label, field: label, within: 2s}, versusStable: {rollbackIf: ">1x", promoteIf: "<2x"}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: top, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: topK, top: 2, field: outputs.0.data, within: 2s}, slo: {max: 5%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: near, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: numeric, tolerance: 1%, field: outputs.0.data, within: 2s}, slo: {max: 5%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: direction, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: cosine, tolerance: 1%, field: outputs.0.data, within: 2s}, slo: {max: 5%}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: twice, namespace: ml}
spec:
  confidence: {falseRollback: 5%}
  metrics:
    - {name: answers, compare: {by: digest, within: 2s}, versusStable: {rollbackIf: ">1x", promoteIf: "<2x"}}
{{range .Subjects}}---
apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: {{.Name}}, namespace: ml}
spec:
  hostnames: [{{.Name}}.ml]
  listener: {port: {{$.Port}}}
  versions:
    - {name: v1, endpoints: ["{{.V1}}"], health: {path: /ready, interval: 200ms}}
    - {name: v2, endpoints: ["{{.V2}}"], health: {path: /ready, interval: 200ms}}
  mirroring: Allowed
  analysis: {policy: {{.Policy}}}
  strategy: {{.Strategy}}
{{if eq .Name "stepping"}}  target: v2
  initialStable: v1
{{end}}{{end}}`)

// studio is a control plane with its Envoy and the subjects, each under load.
func studio(t *testing.T, all []subject) *scene {
	s := newStudio(t, all, parts.Envoy(t))
	for i := range all {
		s.sendTo(&all[i])
	}
	return s
}

// newStudio has no load yet.
func newStudio(t *testing.T, all []subject, envoy string) *scene {
	s := newBareScene(t, envoy)
	s.put(subjects, map[string]any{"Port": s.port, "Subjects": all})
	s.begin()
	for i := range all {
		all[i].wrong = &atomic.Pointer[error]{}
	}
	return s
}

// sendTo keeps a few requests under way, however fast they are answered: a busy
// machine is not overrun. What is not as users should have it is kept.
func (s *scene) sendTo(to *subject) {
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	s.t.Cleanup(func() { stop(); clients.Wait() })
	for range to.Clients {
		clients.Go(func() {
			for ctx.Err() == nil {
				if wrong := s.ask(ctx, to.Name); wrong != nil && ctx.Err() == nil {
					to.wrong.CompareAndSwap(nil, &wrong)
					return
				}
			}
		})
	}
}

// ask sends one request and says what is wrong with its answer.
func (s *scene) ask(ctx context.Context, name string) error {
	got, err := post(request(ctx, s.port, name+".ml"))
	if err != nil || got.status != "200 OK" || got.version != "v1" {
		return fmt.Errorf("%s by %q: %q, %w", got.status, got.version, got.body, err)
	}
	return nil
}

// bounds are what plan says of a subject: how many answers pass if they are the same,
// and name it if four times as many differ as are tolerated.
func (s *scene) bounds(of subject) (toPass, toBlame int64) {
	out, err := exec.CommandContext(s.context(), binary, "plan", "-f", s.config.Routes, "-o", "json").Output()
	require.NoError(s.t, err)
	var plans []struct {
		Route   string `json:"route"`
		Answers struct {
			Same   struct{ Answers int64 }
			Blamed []struct {
				Differing string
				Answers   int64
			}
		}
	}
	require.NoError(s.t, json.Unmarshal(out, &plans), string(out))
	for _, plan := range plans {
		if plan.Route == of.key().String() {
			last := plan.Answers.Blamed[len(plan.Answers.Blamed)-1]
			require.Contains(s.t, []string{"2%", "4%"}, last.Differing)
			return plan.Answers.Same.Answers, last.Answers
		}
	}
	s.t.Fatalf("no plan of %s in %s", of.Name, out)
	return 0, 0
}

func verdict(of analysis.Verdict) func(controller.Snapshot) bool {
	return func(s controller.Snapshot) bool { return s.Assessment != nil && s.Assessment.Verdict == of }
}

// Shadows are judged by their answers on the real Envoy: what differs is named, with
// examples, and what does not is not; no user notices any of them.
func TestShadowsAreJudgedByTheirAnswers(t *testing.T) {
	whole, half := "{shadow: {of: v1, to: v2, percent: 100%}}", "{shadow: {of: v1, to: v2, percent: 50%}}"
	release := make(chan struct{})
	hanging := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) }) // before that server closes
	cutting := answering(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	stable := labeller(t, always)
	all := []subject{
		{Name: "same", Policy: "once", Strategy: whole, V1: stable, V2: labeller(t, always), Clients: 3},
		{Name: "differing", Policy: "strict", Strategy: whole, V1: labeller(t, always), V2: labeller(t, everyFiftieth()), Clients: 3},
		{Name: "moody", Policy: "twice", Strategy: half, V1: labeller(t, moody), V2: labeller(t, moody), Clients: 3},
		{Name: "cutting", Policy: "once", Strategy: whole, V1: labeller(t, always), V2: cutting, Clients: 1},
		{Name: "hanging", Policy: "once", Strategy: whole, V1: labeller(t, always), V2: hanging, Clients: 1},
		{
			Name: "stepping", Policy: "strict", Strategy: "{canary: {steps: [{shadow: 100%, for: 1s}, {weight: 50%}]}}",
			V1: labeller(t, always), V2: labeller(t, everyFiftieth()), Clients: 3,
		},
	}
	s := studio(t, all)
	same, differing, noisy, cut, hung, step := all[0], all[1], all[2], all[3], all[4], all[5]

	got := s.awaits(same.key(), "passes", verdict(analysis.Healthy)).Assessment
	toPass, _ := s.bounds(same)
	t.Logf("same: %s; plan said %d", got.Answers.Reason, toPass)
	require.Zero(t, got.Answers.Differ)
	require.GreaterOrEqual(t, got.Answers.Pairs, toPass, "no sooner than plan said; how many come until the next look is the machine's")

	got = s.awaits(differing.key(), "is named", verdict(analysis.Harmful)).Assessment
	_, toBlame := s.bounds(differing)
	t.Logf("differing: %s; plan said %d", got.Answers.Reason, toBlame)
	require.LessOrEqual(t, got.Answers.Pairs, toBlame)
	require.InDelta(t, 0.02, float64(got.Answers.Differ)/float64(got.Answers.Pairs), 0.01)
	require.NotEmpty(t, got.Answers.Examples)
	for _, d := range got.Answers.Examples {
		require.Equal(t, analysis.Disagreement{ID: d.ID, Stable: "cat", Shadow: "dog"}, d)
	}

	got = s.awaits(noisy.key(), "passes", verdict(analysis.Healthy)).Assessment
	t.Logf("moody: %s", got.Answers.Reason)
	require.Greater(t, got.Answers.Noise.Value, 0.3, "stable differs from itself")
	require.Less(t, got.Answers.Left[analysis.LeftUnmatched], got.Answers.Pairs/10, "both copies are of the same requests")

	got = s.awaits(cut.key(), "is named", verdict(analysis.Harmful)).Assessment
	require.Contains(t, []string{"no answer", "503"}, got.Answers.Examples[0].Shadow)
	got = s.awaits(hung.key(), "is over its cap", func(s controller.Snapshot) bool {
		return s.Assessment != nil && s.Assessment.Answers.Left[analysis.LeftUnsent] > 50
	}).Assessment
	t.Logf("hanging: %s", got.Answers.Reason)
	require.NotEqual(t, analysis.Healthy, got.Verdict)

	end := s.awaits(step.key(), "is rolled back", func(s controller.Snapshot) bool { return len(s.State.History) > 0 })
	require.Equal(t, canary.OutcomeRolledBack, end.State.History[0].Outcome)
	require.Contains(t, end.State.History[0].Reason, "answers slo ≤ 0.5%")
	report, err := s.client().Review(s.context(), step.key(), "")
	require.NoError(t, err)
	require.NotEmpty(t, report.Evidence.Answers.Examples, "people see which")
	for _, of := range all {
		if wrong := of.wrong.Load(); wrong != nil {
			require.NoError(t, *wrong, of.Name)
		}
	}
}

// Package plane tells stories about the whole control plane, as one process with
// the real Envoy under real requests: deaths, silence, refusals and verbs. This
// file is the scene; the stories are the tests.
package plane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// patience bounds every wait: a story that needs longer has failed.
const patience = 40 * time.Second

// key of the one inference route of a scene.
var key = config.Key{Namespace: "ml", Name: "filetype"}

// user names the header that says whose request it is.
const user = "X-User-Id"

// backend is a stand-in model server that fails on demand, and for awful users, or hangs.
type backend struct {
	*httptest.Server
	failing atomic.Bool
	unready atomic.Bool
	hangs   atomic.Bool
	release func() // what hangs
}

func newBackend(t *testing.T) *backend {
	b, released := &backend{}, make(chan struct{})
	b.release = sync.OnceFunc(func() { close(released) })
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ready" && b.unready.Load(), r.URL.Path != "/ready" && b.failing.Load(), strings.HasPrefix(r.Header.Get(user), "awful"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path != "/ready" && b.hangs.Load():
			<-released
		}
	}))
	t.Cleanup(b.Close)
	t.Cleanup(b.release)
	return b
}

func (b *backend) address() string { return b.Listener.Addr().String() }

// fail has v2 fail every request from now on.
func (s *scene) fail() {
	for _, b := range s.v2 {
		b.failing.Store(true)
	}
}

// unready has v2 say from now on that it is not ready.
func (s *scene) unready() {
	for _, b := range s.v2 {
		b.unready.Store(true)
	}
}

// served says that a proxy serves what is published.
func served(now controller.Snapshot) bool {
	return len(now.Proxies) == 1 && now.State.Acked == now.State.Published.Epoch
}

// scene is a control plane, its Envoy, four backends and open-loop load.
type scene struct {
	t       *testing.T
	config  stage.PlaneConfig
	plane   *stage.Plane
	port    uint32
	v1, v2  []*backend
	record  stage.Record
	limits  string // YAML of the policy's limits
	options string // YAML of the route's strategy
	metrics string // YAML of metrics beside errors

	stopLoad func()
}

// newScene starts everything with v1 stable. The caller starts the load.
func newScene(t *testing.T, limits, options string) *scene {
	return newSceneWith(t, limits, options, parts.Envoy(t))
}

func newSceneWith(t *testing.T, limits, options, envoy string) *scene {
	s := newBareScene(t, envoy)
	s.limits, s.options = limits, options
	for range 2 {
		s.v1 = append(s.v1, newBackend(t))
		s.v2 = append(s.v2, newBackend(t))
	}
	s.write("v1")
	s.begin()
	return s
}

// newBareScene is one with nothing to serve, that nobody has begun.
func newBareScene(t *testing.T, envoy string) *scene {
	port, err := stage.FreePort()
	require.NoError(t, err)
	return &scene{t: t, port: port, config: stage.PlaneConfig{
		Binary: binary, Envoy: envoy, Routes: t.TempDir(), State: t.TempDir(), Logs: t.TempDir(),
		Args: []string{"--drain", "1s", "--grace", "2s", "--envoy-workers", "2"},
	}}
}

// begin starts the control plane until the test ends.
func (s *scene) begin() {
	s.start()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Log(s.plane.Tail())
		}
		require.NoError(s.t, s.plane.Stop(patience))
	})
}

func (s *scene) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	return ctx
}

// start runs the control plane on the scene's state folder.
func (s *scene) start() {
	plane, err := stage.StartPlane(s.context(), s.config)
	require.NoError(s.t, err)
	s.plane = plane
}

func (s *scene) client() *api.Client { return api.NewClient(s.plane.API) }

// write puts a manifest with this target in place, and more documents as given.
func (s *scene) write(target string) {
	s.put(manifest, map[string]any{
		"Port": s.port, "Target": target, "Limits": s.limits, "Options": s.options, "Metrics": s.metrics,
		"V1": addresses(s.v1), "V2": addresses(s.v2),
	})
}

// put fills manifests in and puts them in place.
func (s *scene) put(manifests *template.Template, with any) {
	s.t.Helper()
	var out bytes.Buffer
	require.NoError(s.t, manifests.Execute(&out, with))
	s.replace(out.Bytes())
}

// manifests is the path of all but neighbours'.
func (s *scene) manifests() string { return filepath.Join(s.config.Routes, "routes.yaml") }

func (s *scene) replace(manifests []byte) {
	s.t.Helper()
	require.NoError(s.t, stage.Replace(s.manifests(), manifests))
}

// edit replaces words of the manifests by others, and gives what they were.
func (s *scene) edit(words ...string) (before []byte) {
	s.t.Helper()
	before, err := os.ReadFile(s.manifests())
	require.NoError(s.t, err)
	s.replace([]byte(strings.NewReplacer(words...).Replace(string(before))))
	return before
}

func addresses(backends []*backend) (list []string) {
	for _, b := range backends {
		list = append(list, b.address())
	}
	return list
}

// filled reads a template of manifests, in which list writes addresses.
func filled(text string) *template.Template {
	list := func(addresses []string) string { return `["` + strings.Join(addresses, `", "`) + `"]` }
	return template.Must(template.New("manifests").Funcs(template.FuncMap{"list": list}).Parse(text))
}

var manifest = filled(`apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype, namespace: ml}
spec:
  hostnames: [filetype.ml]
  listener: {port: {{.Port}}}
  versions:
    - name: v1
      endpoints: {{list .V1}}
      health: {path: /ready, interval: 200ms}
    - name: v2
      endpoints: {{list .V2}}
      health: {path: /ready, interval: 200ms}
  target: {{.Target}}
  initialStable: v1
  mirroring: Allowed
  analysis: {policy: quick}
{{.Options}}
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: quick, namespace: ml}
spec:
  limits: {{.Limits}}
  metrics:
    - name: errors
      slo: {max: 1%}
{{.Metrics}}
`)

// load sends open-loop requests until the test ends or stopLoad.
func (s *scene) load(rate float64) {
	s.stopLoad = s.under(stage.Load{
		URL: fmt.Sprintf("http://127.0.0.1:%d/infer", s.port), Host: "filetype.ml", Rate: rate, Seed: 7,
		Bodies: [][]byte{[]byte("{}")}, Heard: s.record.Add,
	})
}

// under keeps a load on until the test ends or stop.
func (s *scene) under(load stage.Load) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = load.Run(ctx) // it ends by being stopped
	}()
	stop = func() {
		cancel()
		await.Next(s.t, ended, "the end of the load")
	}
	s.t.Cleanup(stop)
	return stop
}

// until awaits the scene's one inference route.
func (s *scene) until(what string, want func(controller.Snapshot) bool) controller.Snapshot {
	s.t.Helper()
	return s.awaits(key, what, want)
}

// awaits polls an inference route's snapshot until it is as wanted. A control plane that
// is away is waited for.
func (s *scene) awaits(key config.Key, what string, want func(controller.Snapshot) bool) controller.Snapshot {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var last controller.Snapshot
	for {
		if got, err := s.client().Get(ctx, key); err == nil {
			if last = got; want(got) {
				return got
			}
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s: %s: never came within %v; last: phase %s, waits %v, conditions %v, %+v\n%s",
				key, what, patience, last.State.Phase(), last.Waits, last.Conditions, last.Assessment, s.plane.Tail())
		case <-ticker.C:
		}
	}
}

// do performs a verb and requires that it is not refused.
func (s *scene) do(name string, v api.Verb) api.Answer {
	s.t.Helper()
	v.Actor, v.Reason = "tester", "the story wants it"
	answer, err := s.client().Do(s.context(), key, name, v)
	require.NoError(s.t, err)
	return answer
}

// envoyPID reads who serves.
func (s *scene) envoyPID() int {
	data, err := os.ReadFile(filepath.Join(s.config.State, "envoy.pid"))
	require.NoError(s.t, err)
	var running struct {
		PID int `json:"pid"`
	}
	require.NoError(s.t, json.Unmarshal(data, &running), string(data))
	return running.PID
}

// sluice runs a verb of the command on the scene's state, and gives what it prints.
func (s *scene) sluice(verb ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.context(), binary, append(verb, "--state", s.config.State)...).CombinedOutput()
	require.NoError(s.t, err, string(out))
	return string(out)
}

// explain is what `sluice explain` prints.
func (s *scene) explain() string {
	s.t.Helper()
	return s.sluice("explain", key.String())
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"text/template"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// How a trial passes its time.
const (
	startLimit = 2 * time.Minute
	prologue   = 10 * time.Second // stable alone
	glance     = 100 * time.Millisecond
	limit      = 4 * time.Minute // of a rollout
	epilogue   = time.Second
	endGrace   = 20 * time.Second
)

// Names within a trial.
const (
	stable    = "v1"
	candidate = "v2"
)

func key() config.Key { return config.Key{Namespace: "bench", Name: "model"} }

// bench runs trials.
type bench struct {
	options
	sluice, envoy string
	log           io.Writer
}

func newBench(o options, log io.Writer) (*bench, error) {
	sluice, err := stage.Built("sluice")
	if err != nil {
		return nil, err
	}
	envoy, err := stage.Part("ENVOY_BIN", "envoy/envoy")
	if err != nil {
		return nil, err
	}
	return &bench{options: o, sluice: sluice, envoy: envoy, log: log}, nil
}

// race runs all trials of a scenario, some side by side.
func (b *bench) race(ctx context.Context, s scenario) ([]result, error) {
	runs := s.Runs
	if b.runs > 0 {
		runs = b.runs
	}
	results := make([]result, runs)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.parallel)
	if b.load > 0 {
		group.SetLimit(1)
	}
	var mu sync.Mutex
	for i := range results {
		group.Go(func() error {
			seen, err := b.try(ctx, s, i)
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", s.Name, i+1, err)
			}
			results[i] = seen.measure(s)
			results[i].Run, results[i].LoadAverage = i+1, loadAverage()
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(b.log, "%s\n", results[i])
			return nil
		})
	}
	return results, group.Wait()
}

// try runs one trial in a folder of its own, which is left behind only where
// something went wrong.
func (b *bench) try(ctx context.Context, s scenario, number int) (seen, error) {
	folder, err := os.MkdirTemp("", "sluice-rollback-")
	if err != nil {
		return seen{}, err
	}
	t := &trial{scenario: s, folder: folder, seed: b.seed*1000 + uint64(number), pods: 1 + number%2}
	err = t.run(ctx, b)
	if err != nil {
		return seen{}, fmt.Errorf("%w; its logs are in %s", err, folder)
	}
	return t.seen, os.RemoveAll(folder)
}

// trial is one rollout of a bad version.
type trial struct {
	scenario
	folder string
	seed   uint64
	pods   int // of the candidate

	seen  seen
	route route
}

// seen is everything that is measured from.
type seen struct {
	pods     int
	answers  stage.Answers
	finished *canary.Finished // nil: it did not end in time
	delay    time.Duration    // of log entries, as the control plane saw it last before the share was taken
	marks    map[uint64]marks // by epoch
}

// marks are when a split was sent to the proxy and when that acknowledged it.
type marks struct{ sent, acked time.Time }

func (t *trial) run(ctx context.Context, b *bench) (err error) {
	endpoints := map[string][]string{}
	for name, v := range map[string]struct {
		*version
		pods int
	}{
		stable:    {newVersion(t.Errors, fault{}, t.seed), 2},
		candidate: {newVersion(t.Errors, t.Fault, t.seed+1), t.pods},
	} {
		list, stop, err := v.version.pods(ctx, v.pods)
		if err != nil {
			return err
		}
		defer func() { _ = stop() }() // nobody asks them any more
		endpoints[name] = list
	}
	plane, err := t.start(ctx, b, endpoints)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.End(ctx, endGrace)) }()
	return t.expose(ctx, plane)
}

// start writes the manifest, with stable as the target, and brings it into force.
func (t *trial) start(ctx context.Context, b *bench, endpoints map[string][]string) (*stage.Plane, error) {
	port, err := stage.FreePort()
	if err != nil {
		return nil, err
	}
	t.route = route{Key: key(), Port: port, Stable: stable, Candidate: candidate, Endpoints: endpoints, Target: stable}
	if err := t.route.write(t.folder); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return stage.StartPlane(ctx, stage.PlaneConfig{
		Binary: b.sluice, Envoy: b.envoy, Routes: t.route.path(t.folder), State: filepath.Join(t.folder, "state"), Logs: t.folder,
		Args: []string{"--drain", "1ms", "--grace", "2s"},
	})
}

// expose sends users' requests before, during and after the rollout.
func (t *trial) expose(ctx context.Context, plane *stage.Plane) error {
	var record stage.Record
	load := stage.Load{
		URL: fmt.Sprintf("http://127.0.0.1:%d/infer", t.route.Port), Host: "model.bench",
		Rate: t.Rate, Seed: t.seed, Bodies: [][]byte{[]byte("{}")}, Heard: record.Add,
	}
	sending, stop := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- load.Run(sending) }()
	err := t.roll(ctx, plane.Client())
	stop()
	err = errors.Join(err, <-sent)
	t.seen.answers, t.seen.pods = record.Answers(), t.pods
	return err
}

// roll begins the rollout and waits for its end.
func (t *trial) roll(ctx context.Context, client *api.Client) error {
	if err := pause(ctx, prologue); err != nil {
		return err
	}
	t.route.Target = candidate
	if err := t.route.write(t.folder); err != nil {
		return err
	}
	t.seen.marks = map[uint64]marks{}
	for until := time.Now().Add(limit); time.Now().Before(until); {
		snapshot, err := client.Get(ctx, key())
		if err != nil {
			return err
		}
		if t.note(snapshot) {
			break
		}
		if err := errors.Join(t.mark(ctx, client, snapshot), pause(ctx, glance)); err != nil {
			return err
		}
	}
	return pause(ctx, epilogue)
}

// note keeps what a look at the control plane shows, and says whether the
// rollout is over.
func (t *trial) note(s controller.Snapshot) (over bool) {
	if r := s.State.Rollout; r != nil && len(r.Trips) == 0 {
		t.seen.delay = s.LogDelay
	}
	if s.State.Rollout != nil || len(s.State.History) == 0 || s.State.History[0].Confirmed.IsZero() {
		return false
	}
	t.seen.finished = &s.State.History[0]
	return true
}

// mark asks the ledger when the split in force was sent and acknowledged, unless
// that is known.
func (t *trial) mark(ctx context.Context, client *api.Client, s controller.Snapshot) error {
	epoch := s.State.Published.Epoch
	if !t.seen.marks[epoch].acked.IsZero() {
		return nil
	}
	raw, err := client.Proxies(ctx)
	if err != nil {
		return err
	}
	var proxies []ledger
	if err := json.Unmarshal(raw, &proxies); err != nil {
		return fmt.Errorf("proxies: %w", err)
	}
	for _, p := range proxies {
		for _, r := range p.Routes {
			if r.Route == key() && r.Acked.Epoch == epoch {
				t.seen.marks[epoch] = marks{r.Sent.At, r.Acked.At}
			}
		}
	}
	return nil
}

// ledger is what is read of a proxy's.
type ledger struct {
	Routes []struct {
		Route config.Key `json:"route"`
		Sent  moment     `json:"sent"`
		Acked moment     `json:"acked"`
	} `json:"routes"`
}

// moment is when an epoch came so far.
type moment struct {
	Epoch uint64    `json:"epoch"`
	At    time.Time `json:"at"`
}

// route is the manifest of a trial.
type route struct {
	Key               config.Key
	Port              uint32
	Stable, Candidate string
	Endpoints         map[string][]string
	Target            string
}

const routeTemplate = `apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: {{.Key.Name}}, namespace: {{.Key.Namespace}}}
spec:
  hostnames: [model.bench]
  listener: {port: {{.Port}}}
  versions:
{{- range $name, $endpoints := .Endpoints}}
    - {name: {{$name}}, endpoints: [{{range $i, $e := $endpoints}}{{if $i}}, {{end}}"{{$e}}"{{end}}]}
{{- end}}
  target: {{.Target}}
  initialStable: {{.Stable}}
  strategy: {canary: {steps: [{weight: 5%}, {weight: 25%}, {weight: 50%}]}}
  mirroring: Allowed
  analysis: {policy: standard}
`

func (r route) path(folder string) string { return filepath.Join(folder, "route.yaml") }

func (r route) write(folder string) error {
	t, err := template.New("route").Parse(routeTemplate)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, r); err != nil {
		return err
	}
	return stage.Replace(r.path(folder), text.Bytes())
}

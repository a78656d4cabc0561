package forecast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// tried is one rollout that was tried.
type tried struct {
	world.Result

	steps []passed // by step
}

// passed is how long a step took, and what it waited for last.
type passed struct {
	reached, left bool
	took          time.Duration
	requests      int // of the candidate
	wait          canary.WaitReason
	metric        string // that evidence was missing of
	text          string // the wait, in a sentence
}

// batch makes trials on all processors.
type batch struct {
	Config

	of int

	mu   sync.Mutex
	done int
}

func (b *batch) tryAll(ctx context.Context, e effect, n int) ([]tried, error) {
	all, errs := make([]tried, n), make([]error, n)
	var wait sync.WaitGroup
	workers := min(runtime.NumCPU(), n)
	for worker := range workers {
		wait.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += workers {
				all[i], errs[i] = b.try(ctx, e, b.Seed+uint64(i))
				b.count()
			}
		})
	}
	wait.Wait()
	return all, cmp.Or(ctx.Err(), errors.Join(errs...))
}

func (b *batch) count() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	if b.Progress != nil {
		b.Progress(min(b.done, b.of), b.of)
	}
}

// finish says that nothing more comes: not every refinement was needed.
func (b *batch) finish() {
	if b.Progress != nil {
		b.Progress(b.of, b.of)
	}
}

// try runs one rollout to its end, or until it has taken too long, and looks at it
// once a second.
func (b *batch) try(ctx context.Context, e effect, seed uint64) (tried, error) {
	trial, err := world.NewTrial(b.spec(e, seed))
	if err != nil {
		return tried{}, err
	}
	t := tried{steps: make([]passed, len(b.Steps))}
	end := trial.World.Now().Add(b.Policy.Limits.MaxDuration.D() + time.Minute)
	for trial.World.Now().Before(end) && ctx.Err() == nil {
		before := trial.World.Truth().Candidate
		t.Result = trial.Run(time.Second)
		if t.Outcome != "" {
			break
		}
		t.look(trial.Controller.Snapshot(trial.World.Now()), trial.World.Truth().Candidate-before)
	}
	if t.Outcome == canary.OutcomePromoted {
		for i := range t.steps {
			t.steps[i].left = true
		}
	}
	return t, nil
}

// look notes a second of a step.
func (t *tried) look(s controller.Snapshot, requests int) {
	r := s.State.Rollout
	if r == nil || r.Phase != canary.Stepping || r.Step >= len(t.steps) {
		return
	}
	for i := range t.steps[:r.Step] {
		t.steps[i].left = true
	}
	step := &t.steps[r.Step]
	step.reached = true
	step.took += time.Second
	step.requests += requests
	// That it is held says that its time is over, and not for what it waited.
	i := slices.IndexFunc(s.Waits, func(w canary.Wait) bool { return w.Reason != canary.WaitHeld })
	if i < 0 {
		return
	}
	step.wait, step.text, step.metric = s.Waits[i].Reason, s.Waits[i].Text, ""
	if step.wait == canary.WaitEvidence && s.Assessment != nil && s.Assessment.Why.Kind == analysis.WhyEvidence {
		step.metric = s.Assessment.Why.Metric
	}
}

// spec is a world in which a candidate has an effect.
func (b *batch) spec(e effect, seed uint64) world.TrialSpec {
	stable, candidate := b.version(b.StablePods), b.version(b.CandidatePods)
	if e.metric != "" {
		candidate.Faults = []world.Fault{e.fault(b.Errors)}
	}
	w := world.Spec{Seed: seed, Rate: b.Rate, PerUnit: b.PerUnit, Stable: stable, Candidate: candidate}
	w.Network.LoadEvery = time.Second
	return world.TrialSpec{
		World: w, Key: config.Key{Namespace: "forecast", Name: "route"}, Policy: b.Policy,
		Route: config.RouteSpec{
			Versions:      []config.Version{endpoints("stable", 1, b.StablePods), endpoints("candidate", 2, b.CandidatePods)},
			InitialStable: "stable", Target: "candidate", Mirroring: b.Mirroring, Stickiness: b.stickiness(),
			Strategy: config.Strategy{Canary: &config.Canary{Steps: slices.Clone(b.Steps)}},
		},
	}
}

// stickiness is the route's, where its units are.
func (b *batch) stickiness() *config.Stickiness {
	if b.PerUnit == 0 {
		return nil
	}
	return &config.Stickiness{Header: "x-unit"}
}

// version is pods that stable's whole traffic would keep busy for the time asked, or
// less: each then answers so many requests at once.
func (b *batch) version(pods int) world.Version {
	v := world.Version{Pods: pods, Service: b.Latency, Measured: world.NewMeasured(b.Measured), Errors: b.Errors}
	if b.Busy > 0 {
		v.Servers = max(1, int(math.Ceil(b.Rate/float64(pods)*v.MeanService()/b.Busy)))
		v.Utilisation = b.Busy
	}
	return v
}

func endpoints(version string, net, pods int) config.Version {
	v := config.Version{Name: version}
	for i := range pods {
		v.Endpoints = append(v.Endpoints, fmt.Sprintf("10.%d.%d.%d:8000", net, i/250, i%250+1))
	}
	return v
}

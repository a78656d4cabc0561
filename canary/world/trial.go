package world

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// TrialSpec is a world and what is tried in it: Route begins a rollout at once.
type TrialSpec struct {
	World  Spec // Arms are the route's stable and target
	Key    config.Key
	Route  config.RouteSpec
	Policy config.PolicySpec

	// Store is asked by the Controller. Default: one that keeps nothing.
	Store controller.Store
	// Publishing hears of each split before the proxies do. Default: nobody.
	Publishing func(config.Split)
}

// Trial is one rollout in a world, driven by the Controller that runs in earnest.
// It stands for what cmd wires together: it brings signals in, splits out, and
// gives up on proxies that do not ack.
type Trial struct {
	World      *World
	Controller *controller.Controller
	// Decisions that were recorded, oldest first.
	Decisions []canary.Decision

	spec      TrialSpec
	published time.Time
	waiting   map[string]bool // proxies that have not acked the last split
	last      uint64          // its epoch
	done      bool
}

// NewTrial makes a world, starts a Controller in it and begins the rollout.
// errors: a world, a store or a configuration that does not do.
func NewTrial(spec TrialSpec) (*Trial, error) {
	spec.World.Arms = analysis.Arms{Route: spec.Key, Stable: spec.Route.InitialStable, Candidate: spec.Route.Target}
	w, err := New(spec.World)
	if err != nil {
		return nil, err
	}
	t := &Trial{World: w, spec: spec}
	return t, t.Restart()
}

// Restart drops the Controller, if there is one, and starts another from what the
// store has. Nothing that it knew but did not save survives.
func (t *Trial) Restart() (err error) {
	t.Controller, err = controller.New(controller.Config{Key: t.spec.Key, Store: t, Publisher: t})
	if err != nil {
		return err
	}
	t.waiting = nil
	for _, p := range t.World.proxies {
		t.Controller.Connected(p.name)
	}
	now := t.World.Now()
	if err := t.Controller.Configure(now, t.spec.Route, t.spec.Policy); err != nil {
		return err
	}
	for _, f := range t.World.arms {
		t.Controller.Resized(now, f.version, len(f.pods), len(f.pods), "")
	}
	return nil
}

// Load implements controller.Store.
func (t *Trial) Load(k config.Key) (c canary.Checkpoint, ok bool, err error) {
	if t.spec.Store == nil {
		return c, false, nil
	}
	return t.spec.Store.Load(k)
}

// Save implements controller.Store.
func (t *Trial) Save(c canary.Checkpoint, made []canary.Decision) error {
	if t.spec.Store != nil {
		if err := t.spec.Store.Save(c, made); err != nil {
			return err
		}
	}
	t.Decisions = append(t.Decisions, made...)
	t.done = c.State.Rollout == nil && len(c.State.History) > 0
	return nil
}

// Publish implements controller.Publisher.
func (t *Trial) Publish(_ config.InferenceRoute, s config.Split) error {
	if t.spec.Publishing != nil {
		t.spec.Publishing(s)
	}
	t.World.Publish(s)
	t.published, t.last = t.World.Now(), s.Epoch
	t.waiting = map[string]bool{}
	for _, p := range t.World.proxies {
		t.waiting[p.name] = true
	}
	return nil
}

// Withdraw implements controller.Publisher; a trial keeps its route.
func (t *Trial) Withdraw(config.Key) {}

// Handle implements Driver.
func (t *Trial) Handle(now time.Time, ev Event) {
	switch e := ev.(type) {
	case *Logged:
		t.Controller.Observe(now, e.Entries)
	case *Loaded:
		t.Controller.Report([]analysis.Load{e.Load})
	case *Acked:
		t.acked(now, e)
	case Ticked:
		t.giveUp(now)
		t.Controller.Tick(now)
	}
}

func (t *Trial) acked(now time.Time, e *Acked) {
	if e.Epoch != t.last || !t.waiting[e.Proxy] {
		return
	}
	delete(t.waiting, e.Proxy)
	if len(t.waiting) == 0 {
		t.Controller.Acked(canary.Acked{At: now, Epoch: e.Epoch, Proxies: len(t.World.proxies)})
	}
}

// giveUp names proxies whose ack did not come in time.
func (t *Trial) giveUp(now time.Time) {
	if len(t.waiting) == 0 || now.Sub(t.published) < t.spec.Policy.Limits.AckTimeout.D() {
		return
	}
	var stuck []string
	for _, p := range t.World.proxies {
		if t.waiting[p.name] {
			stuck = append(stuck, p.name)
		}
	}
	t.waiting = nil
	t.Controller.TimedOut(stuck)
	t.Controller.Acked(canary.Acked{At: now, Epoch: t.last, Proxies: len(t.World.proxies) - len(stuck)})
}

// Result is what became of a trial.
type Result struct {
	// Outcome is empty where the rollout had not ended.
	Outcome canary.Outcome
	Cause   canary.Cause
	Reason  string
	Phase   canary.Phase // it was in last
	Took    time.Duration
	Ended   time.Time // zero where it had not
	Trips   []canary.Trip
	Truth   Truth
}

// Run lets the rollout go on until it ends and its last split has arrived, or for
// the time at most.
func (t *Trial) Run(most time.Duration) Result {
	end := t.World.Now().Add(most)
	for !t.done && t.World.Now().Before(end) {
		t.World.Run(t, t.World.Now().Add(time.Second))
	}
	if t.done {
		t.World.Run(t, t.World.Now().Add(time.Second))
	}
	return t.Result()
}

// Result is what became of the trial so far.
func (t *Trial) Result() Result {
	s := t.Controller.Snapshot(t.World.Now()).State
	switch {
	case s.Rollout != nil:
		r := *s.Rollout
		return Result{Phase: r.Phase, Took: t.World.Now().Sub(r.Began), Trips: r.Trips, Truth: t.World.Truth()}
	case len(s.History) > 0:
		f := s.History[0]
		return Result{
			Outcome: f.Outcome, Cause: f.Cause, Reason: f.Reason, Phase: f.Phase,
			Took: f.Ended.Sub(f.Began), Ended: f.Ended, Trips: f.Trips, Truth: t.World.Truth(),
		}
	}
	return Result{Phase: canary.Idle, Truth: t.World.Truth()}
}

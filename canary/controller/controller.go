// Package controller is the one loop round the rollout machine: signals and
// verbs in, decisions taken by canary.Step, effects out. A Controller owns one
// inference route: its windows, its evidence, its watch and its state. Its
// methods are synchronous and take the time as an argument, so that a simulated
// world drives the same code; Run merely selects. A Manager has one Controller
// and one goroutine per inference route.
//
// It decides nothing: what is harmful is analysis's word, what to do about it is
// the machine's.
//
// Start reading at Controller.Handle, then Controller.Tick, then Manager.
package controller

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Config of a Controller.
type Config struct {
	Key       config.Key
	Store     Store
	Publisher Publisher
	// Recorder hears of decisions. Optional.
	Recorder Recorder
	// Notifier tells people. Optional.
	Notifier Notifier
	// Log. Default: none.
	Log *slog.Logger
}

// Controller owns one inference route. Not safe for concurrent use: a Manager
// gives each a goroutine.
type Controller struct {
	Config

	state   canary.State
	route   config.RouteSpec // in force
	policy  config.PolicySpec
	begun   bool // a configuration was accepted in this process, or loaded
	loaded  bool // the state came from the store, and nothing was configured since
	refusal string
	pending *canary.Configured // accepted, and not saved yet
	early   []canary.Event     // that came before the first configuration

	unsaved []canary.Decision // since the last save
	savedAt time.Time
	dirty   bool // evidence that is not saved

	tally   *analysis.Tally
	silent  map[string]time.Time // proxies without load reports
	gap     string
	noted   analysis.Gap // that the trace names last
	fleet   fleet
	sense   *sense           // of the rollout that runs; nil without one
	study   *study           // of a shadow as a strategy; nil without one
	test    *comparison      // of the A/B test that runs; nil without one
	tests   []canary.ABTrace // of those before it, newest first
	traces  []canary.Trace   // newest first
	past    analysis.Past    // stable's latencies
	delay   delay            // of log entries
	told    map[uint64]bool  // epochs observed ahead of the split in force
	stated  []canary.Condition
	saved   *analysis.Evidence   // of the last rollout, while none runs
	suspect *analysis.Suspicion  // that fired last
	last    *analysis.Assessment // of the last look
}

// Errors that callers tell apart.
var (
	// ErrNotSaved says that a decision was not taken, because it could not be made
	// durable.
	ErrNotSaved = errors.New("the state cannot be saved")
	// ErrNotConfigured says that a loaded state is not in force yet.
	ErrNotConfigured = errors.New("nothing is configured yet")
)

// New makes a controller and loads what its store has.
func New(c Config) (*Controller, error) {
	if c.Store == nil || c.Publisher == nil || c.Key.Name == "" {
		return nil, errors.New("controller: Key, Store and Publisher must be given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("route", c.Key.String())
	ctl := &Controller{Config: c, state: canary.State{Route: c.Key}, fleet: newFleet(), told: map[uint64]bool{}}
	kept, ok, err := c.Store.Load(c.Key)
	if err != nil {
		return nil, fmt.Errorf("controller %s: %w", c.Key, err)
	}
	if ok {
		ctl.restore(kept)
		ctl.restoreTest(kept)
	}
	return ctl, nil
}

// restore takes a checkpoint over. What needs the time waits for Configure.
func (c *Controller) restore(kept canary.Checkpoint) {
	c.state, c.route, c.policy = kept.State, kept.Route, kept.Policy
	c.traces, c.stated, c.saved = kept.Traces, kept.Conditions, kept.Evidence
	c.loaded, c.savedAt = true, kept.At
	if kept.Study != nil {
		c.study = newStudy(*kept.Study)
	}
	if r := kept.State.Rollout; r != nil {
		c.sense = newSense(*r, kept.State.Route)
		if kept.Evidence != nil {
			c.sense.evidence = *kept.Evidence
		}
		c.sense.settlement = kept.Settlement
	}
	if len(c.traces) > 0 {
		c.last = c.traces[0].Assessment
	}
}

// Configure brings a configuration into force, or says why not and keeps the one
// before. The first call after a load brings the loaded state into force with it.
// What is in force already costs nothing.
func (c *Controller) Configure(now time.Time, route config.RouteSpec, policy config.PolicySpec) error {
	if c.inForce(route, policy) {
		return nil
	}
	if c.tally == nil {
		c.tally = analysis.NewTally(c.Key, now)
		c.tally.Mute(c.silent)
		c.noteAbsence(now)
		c.savedAt = now
	}
	refused := canary.Admit(c.state, route)
	if refused != nil {
		c.refuse(refused)
		if !c.loaded {
			return refused
		}
		route, policy = c.route, c.policy // what was in force before the restart
	} else {
		c.refusal = ""
	}
	return errors.Join(refused, c.bring(canary.Configured{At: now, Route: route, Policy: policy, Loaded: c.loaded}))
}

// inForce says whether a configuration is in force, and nothing is wrong that bringing
// it again could mend.
func (c *Controller) inForce(route config.RouteSpec, policy config.PolicySpec) bool {
	return c.tally != nil && !c.loaded && c.pending == nil && c.refusal == "" && c.state.Nack == nil && c.state.Fault == nil &&
		reflect.DeepEqual(c.route, route) && reflect.DeepEqual(c.policy, policy)
}

// Withdraw says that the route is no longer configured: what runs ends. Its state is kept
// in case it comes back.
func (c *Controller) Withdraw(now time.Time) {
	if c.begun {
		c.event(canary.Withdrawn{At: now})
	}
}

// Refuse notes that a newer configuration is not in force, and why.
func (c *Controller) Refuse(why error) { c.refuse(why) }

func (c *Controller) refuse(why error) {
	c.refusal = why.Error()
	c.Log.Warn("configuration refused; the one before stays in force", "reason", c.refusal)
}

// bring configures the machine. What cannot be saved is tried again at a Tick.
func (c *Controller) bring(e canary.Configured) error {
	c.pending = &e
	if e.Loaded && c.sense != nil {
		c.sense.resume(e.At, c.past.Age(c.sense.policy))
		c.sense.split(c.state.Published)
	}
	if _, err := c.Handle(e); err != nil {
		return err
	}
	c.pending = nil
	c.catchUp()
	if r := c.state.Rollout; r != nil && c.sense.settlement != nil && r.OpenTrip() != nil {
		c.sense.settlement.Until = r.OpenTrip().Until
	}
	return nil
}

// Handle takes one event of the machine and performs the effects. It gives the
// decision, which is zero where nothing was decided, and an error where it was
// not taken: ErrNotSaved or ErrNotConfigured. What takes a share away is taken, saved or not.
func (c *Controller) Handle(ev canary.Event) (canary.Decision, error) {
	if _, ok := ev.(canary.Configured); c.loaded && !ok {
		return canary.Decision{}, ErrNotConfigured
	}
	if p, ok := ev.(canary.Promoted); ok && c.last != nil {
		p.Evidence = c.last.Reason
		ev = p
	}
	decision, taken, err := c.step(ev)
	if err == nil {
		return decision, nil
	}
	c.Log.Error("state not saved", "error", err)
	if _, _, again := c.step(canary.SaveFailed{At: ev.When(), Text: err.Error()}); again != nil {
		c.Log.Error("failure not recorded", "error", again)
	}
	if taken || decision.Refused {
		return decision, nil
	}
	return canary.Decision{}, fmt.Errorf("%w: %w", ErrNotSaved, err)
}

// step asks the machine and performs what it says. On an error nothing was saved:
// the state is as before, unless something was published first.
func (c *Controller) step(ev canary.Event) (decision canary.Decision, taken bool, failed error) {
	route := c.route
	if e, ok := ev.(canary.Configured); ok {
		route = e.Route
	}
	next, effects := canary.Step(route, c.state, ev)
	decision, ok := canary.DecisionIn(effects)
	if !ok {
		return canary.Decision{}, false, nil
	}
	act := action{Controller: c, ev: ev, route: route, before: c.state, next: next, decision: decision}
	for _, e := range effects {
		if err := act.perform(e); err != nil {
			failed = err
		}
		if failed != nil && !act.adopted {
			return decision, false, failed
		}
	}
	act.tell(effects)
	return decision, true, failed
}

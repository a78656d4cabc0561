package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// chaos is one rollout in a world where acks and log entries get lost, the store
// fails, and the control plane dies at any effect and comes back. It checks after
// each step that what must never happen has not.
type chaos struct {
	trial   *world.Trial
	rng     *rand.Rand
	spec    world.TrialSpec
	harmful bool // the candidate will be, once its fault begins

	kept      []byte // the durable checkpoint
	durable   canary.State
	decisions []canary.Decision // durable, too
	published map[uint64]config.Split
	highest   uint64 // epoch of those published
	restarted bool   // nothing was published since

	away   time.Time // until when the control plane is dead
	deaths int
	broken time.Time // until when the store fails
	errs   []error
}

// death is thrown where the control plane dies.
type death struct{}

// chaosTrials is how many there are at full length.
const chaosTrials = 2000

// chaosLength is how long a trial runs at most; its policy is quicker than the
// built-in one.
const chaosLength = 6 * time.Minute

// noticing is how long a fault may last before it must have been noticed.
const noticing = 3 * time.Second

func newChaos(seed uint64) (*chaos, error) {
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 77)), published: map[uint64]config.Split{}}
	c.spec = scenario{policy: quick()}.trial(c.world(seed))
	c.spec.Store, c.spec.Publishing = c, c.publishing
	trial, err := world.NewTrial(c.spec)
	c.trial = trial
	return c, err
}

// quick is the built-in policy with shorter times.
func quick() config.PolicySpec {
	p := config.Standard()
	p.Limits.MinStep = config.Duration(5 * time.Second)
	p.Limits.MinRequestsPerStep = 30
	p.Limits.MaxBlind = config.Duration(10 * time.Second)
	p.Limits.AckTimeout = config.Duration(3 * time.Second)
	p.Warmup.PerPod = config.Duration(2 * time.Second)
	p.Warmup.Requests = 20
	p.Unit.Block = config.Duration(2 * time.Second)
	return p
}

// world draws a world: a third of the candidates are healthy, the others fail or
// are slow, from the start or later.
func (c *chaos) world(seed uint64) world.Spec {
	v := world.Version{Pods: 2, Service: service(), Errors: 0.001}
	s := world.Spec{Seed: seed, Rate: 100, Proxies: 1 + c.rng.IntN(3), Stable: v, Candidate: v}
	s.Network.LostAcks = []float64{0, 0.2}[c.rng.IntN(2)]
	s.Network.LoadEvery = time.Second
	for range c.rng.IntN(3) {
		s.Network.Gaps = append(s.Network.Gaps, world.Gap{After: c.within(time.Minute), For: c.within(20 * time.Second)})
	}
	f := world.Fault{After: c.within(40*time.Second) * time.Duration(c.rng.IntN(2))}
	switch c.rng.IntN(3) {
	case 0:
		f.Errors, c.harmful = 0.5+c.rng.Float64()/2, true
	case 1:
		f.Slowdown, c.harmful = 2+c.rng.Float64(), true
	}
	s.Candidate.Faults = []world.Fault{f}
	return s
}

func (c *chaos) within(d time.Duration) time.Duration {
	return time.Duration(c.rng.Int64N(int64(d)))
}

// run gives everything that must not happen and did.
func (c *chaos) run() error {
	c.trial.World.Run(c, c.trial.World.Now().Add(chaosLength))
	r := c.trial.Result()
	onset := r.Truth.FirstCandidate.Add(c.spec.World.Candidate.Faults[0].After)
	if c.harmful && r.Outcome == canary.OutcomePromoted && r.Ended.Sub(onset) > noticing {
		c.nof("a candidate that was harmful for %s was promoted: %s", r.Ended.Sub(onset), r.Reason)
	}
	if !c.harmful && r.Outcome == canary.OutcomeRolledBack {
		c.nof("a healthy candidate was rolled back: %s: %s", r.Cause, r.Reason)
	}
	c.replay()
	return errors.Join(c.errs...)
}

func (c *chaos) nof(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: "+format, append([]any{c.trial.World.Now().Format("04:05.000")}, args...)...))
}

// Handle implements world.Driver. A dead control plane hears nothing.
func (c *chaos) Handle(now time.Time, ev world.Event) {
	defer c.survive(now)
	if !c.away.IsZero() {
		if now.Before(c.away) {
			return
		}
		c.away, c.restarted = time.Time{}, true
		if err := c.trial.Restart(); err != nil && !errors.Is(err, controller.ErrNotSaved) {
			c.nof("no restart: %w", err)
		}
	}
	c.trial.Handle(now, ev)
}

// survive turns a death into time away.
func (c *chaos) survive(now time.Time) {
	switch cause := recover(); cause.(type) {
	case nil:
	case death:
		c.deaths++
		c.away = now.Add(c.within(15 * time.Second))
	default:
		panic(cause)
	}
}

// mayDie is called at each effect.
func (c *chaos) mayDie() {
	if c.trial != nil && c.deaths < 4 && c.rng.IntN(25) == 0 {
		panic(death{})
	}
}

// Load implements controller.Store.
func (c *chaos) Load(config.Key) (kept canary.Checkpoint, ok bool, err error) {
	if c.kept == nil {
		return kept, false, nil
	}
	return kept, true, json.Unmarshal(c.kept, &kept)
}

// Save implements controller.Store. It may fail for some time, and the control
// plane may die before or after it.
func (c *chaos) Save(kept canary.Checkpoint, made []canary.Decision) error {
	c.mayDie()
	if c.trial != nil {
		now := c.trial.World.Now()
		if now.Before(c.broken) {
			return errors.New("disk is full")
		}
		if c.rng.IntN(60) == 0 {
			c.broken = now.Add(c.within(5 * time.Second))
		}
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	c.kept, c.durable = text, kept.State
	c.decisions = append(c.decisions, made...)
	c.mayDie()
	return nil
}

// publishing checks a split before proxies hear of it.
func (c *chaos) publishing(s config.Split) {
	var sum uint32
	for _, share := range s.Shares {
		sum += share.Weight
	}
	if sum != config.WholeSplit {
		c.nof("epoch %d: shares sum to %d", s.Epoch, sum)
	}
	saved := c.durable.Published
	switch was, again := c.published[s.Epoch]; {
	case again && !reflect.DeepEqual(was, s):
		c.nof("epoch %d was another split before", s.Epoch)
	case s.Epoch < c.highest && !(c.restarted && reflect.DeepEqual(s, saved)):
		c.nof("epoch %d comes after %d, and no restart went back to it", s.Epoch, c.highest)
	}
	if weight := s.Weight(c.spec.Route.Target); weight > saved.Weight(c.spec.Route.Target) {
		c.nof("epoch %d: the candidate grows to %d, which is not saved", s.Epoch, weight)
	}
	if m := s.Mirror; m.Weight > 0 && (m.Version != c.spec.Route.Target || s.Weight(m.Version) > 0) {
		c.nof("epoch %d: mirrors %d to %s, which serves users", s.Epoch, m.Weight, m.Version)
	}
	c.published[s.Epoch] = s
	c.highest, c.restarted = max(c.highest, s.Epoch), false
	c.mayDie()
}

// replay takes the durable record again.
func (c *chaos) replay() {
	text, err := json.Marshal(c.decisions)
	if err != nil {
		c.nof("record: %w", err)
		return
	}
	var survived []canary.Decision
	if err := json.Unmarshal(text, &survived); err != nil {
		c.nof("record: %w", err)
		return
	}
	again, err := canary.Replay(survived)
	if err != nil {
		c.nof("replay: %w", err)
		return
	}
	if got, err := json.Marshal(again); err != nil || string(got) != string(text) {
		c.nof("replay gives other decisions")
	}
}

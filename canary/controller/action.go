package controller

import (
	"slices"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// action is one step being acted on.
type action struct {
	*Controller

	ev       canary.Event
	route    config.RouteSpec
	before   canary.State
	next     canary.State
	decision canary.Decision

	adopted bool
	refused error // by the publisher
}

// perform does one effect. Publishing before saving adopts the state: what was
// taken from a candidate stays taken.
func (a *action) perform(e canary.Effect) error {
	switch e := e.(type) {
	case canary.Save:
		return a.save()
	case canary.Publish:
		a.adopt()
		a.refused = a.Publisher.Publish(a.published(), e.Split)
	case canary.Record:
		a.adopt() // where nothing is saved; told at the end
	case canary.Notify, canary.Refuse: // told at the end
	}
	return nil
}

// published is the route as proxies are to serve it.
func (a *action) published() config.InferenceRoute {
	route := config.InferenceRoute{Key: a.Key, RouteSpec: a.route}
	if r := a.next.Rollout; r != nil && r.Policy.Segments != nil {
		route.SegmentHeader = r.Policy.Segments.Header
	}
	policy := a.next.Policy
	if r := a.next.Rollout; r != nil {
		policy = r.Policy
	}
	if m, compared := policy.Answers(); compared {
		route.Answers = &m
	}
	return route
}

// save makes the next state durable, with what was seen of it.
func (a *action) save() error {
	c := a.Controller
	if a.adopted {
		return c.flush(a.ev.When())
	}
	kept := a.prepared()
	if err := c.Store.Save(kept, append(slices.Clip(c.unsaved), a.decision)); err != nil {
		return err
	}
	c.savedAll(a.ev.When())
	a.adoptSaved()
	return nil
}

// prepared is the checkpoint of the next state, while this one still holds.
func (a *action) prepared() canary.Checkpoint {
	trial := *a.Controller
	trial.take(a)
	return trial.checkpoint(a.ev.When())
}

// adopt makes the next state this one; its decision waits to be saved.
func (a *action) adopt() {
	if a.adopted {
		return
	}
	a.unsaved = append(a.unsaved, a.decision)
	a.adoptSaved()
}

func (a *action) adoptSaved() {
	a.adopted = true
	a.Controller.take(a)
	a.Controller.declareStudy()
	a.Controller.declareTest()
	published := a.next.Published
	if c := a.Controller; published.Epoch != a.before.Published.Epoch {
		c.fleet.stuck = nil
		if c.sense != nil {
			c.sense.split(published)
		}
	}
}

// tell lets others know, after everything was done.
func (a *action) tell(effects []canary.Effect) {
	c, now := a.Controller, a.ev.When()
	if c.Recorder != nil {
		c.Recorder.Record(a.decision, c.Snapshot(now))
	}
	for _, e := range effects {
		if n, ok := e.(canary.Notify); ok && c.Notifier != nil {
			c.Notifier.Notify(n.Notice)
		}
	}
	if a.refused != nil {
		c.Log.Error("split not published", "epoch", c.state.Published.Epoch, "error", a.refused)
		_, err := c.Handle(canary.Nacked{At: now, Proxy: canary.Machine, Epoch: c.state.Published.Epoch, Text: a.refused.Error()})
		if err != nil {
			c.Log.Error("refusal not recorded", "error", err)
		}
	}
}

// take makes the next state this one, and lets what senses the rollout follow.
func (c *Controller) take(a *action) {
	c.state, c.route = a.next, a.route
	if e, ok := a.ev.(canary.Configured); ok {
		c.policy, c.loaded, c.begun = e.Policy, false, true
	}
	c.follow(a.before, a.ev.When())
	c.followStudy()
	c.followTest()
	c.restate(a.ev.When())
}

// follow begins, changes or ends what senses the rollout.
func (c *Controller) follow(before canary.State, now time.Time) {
	was, is := before.Rollout, c.state.Rollout
	if was != nil && (is == nil || is.ID != was.ID) {
		c.endTrace(was.ID)
	}
	switch {
	case is == nil && c.sense != nil:
		evidence := c.sense.evidence
		c.saved, c.sense = &evidence, nil
	case is == nil:
	case c.sense == nil || c.sense.rollout != is.ID:
		c.sense = newSense(*is, c.Key)
		c.sense.resume(now, c.past.Age(is.Policy))
		c.sense.from = c.state.Published.Epoch
		c.last = nil
		c.beginTrace(*is)
	case was != nil && was.Phase != is.Phase:
		c.sense = c.sense.turn(*was, *is, c.suspect, c.state.Published.Epoch)
	}
}

// beginTrace starts to count for a rollout.
func (c *Controller) beginTrace(r canary.Rollout) {
	t := canary.Trace{Rollout: r.ID, Since: c.state.Published.Epoch}
	t.Arms.Route, t.Arms.Stable, t.Arms.Candidate = c.Key, r.Stable, r.Candidate
	for _, name := range []string{r.Stable, r.Candidate} {
		if v, ok := c.route.Version(name); ok {
			t.Versions = append(t.Versions, v)
		}
	}
	c.traces = append([]canary.Trace{t}, c.traces...)
	c.traces = c.traces[:min(len(c.traces), canary.KeptTraces)]
}

// endTrace notes which epoch is no longer a rollout's.
func (c *Controller) endTrace(rollout string) {
	traces := make([]canary.Trace, len(c.traces))
	copy(traces, c.traces)
	for i := range traces {
		if traces[i].Rollout == rollout {
			traces[i].Until = c.state.Published.Epoch
			traces[i].Assessment = c.last
		}
	}
	c.traces = traces
}

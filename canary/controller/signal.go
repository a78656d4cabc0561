package controller

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
)

// Look is how often the evidence is judged.
const Look = 250 * time.Millisecond

// Keep is how often evidence is saved when nothing was decided: what a crash loses at
// most. A save takes about 2 ms, so a hundred rollouts at once keep the store busy for a
// tenth of the time.
const Keep = 2 * time.Second

// Observe takes requests of this route as their log entries arrive, from any
// proxy.
func (c *Controller) Observe(now time.Time, requests []analysis.Request) {
	if c.tally == nil {
		return
	}
	c.tally.Observe(now, requests)
	c.delay.see(now, requests)
	c.studied(now, requests)
	c.served(requests)
	for _, r := range requests {
		c.observe(now, r)
	}
}

func (c *Controller) observe(now time.Time, r analysis.Request) {
	for i := range c.traces {
		c.traces[i].Count(r)
	}
	c.sight(now, r)
	c.past.See(c.state.Stable, r)
	if c.sense != nil && c.sense.bins != nil {
		c.sense.add(r)
	}
}

// sight tells the machine of the first entry under a split it waits to see.
func (c *Controller) sight(now time.Time, r analysis.Request) {
	switch {
	case r.Epoch > c.state.Published.Epoch:
		if c.told[r.Epoch] {
			return
		}
		c.told[r.Epoch] = true
	case !c.unseen(r.Epoch):
		return
	}
	c.event(canary.Observed{At: now, Epoch: r.Epoch, Proxy: r.Proxy})
}

// unseen says whether a passage of an epoch waits to be observed.
func (c *Controller) unseen(epoch uint64) bool {
	var passages []canary.Passage
	if r := c.state.Rollout; r != nil {
		passages = r.Passages
	} else if len(c.state.History) > 0 {
		passages = c.state.History[0].Passages
	}
	for _, p := range slices.Backward(passages) {
		if p.Epoch <= epoch {
			return p.Epoch == epoch && p.Observed.IsZero()
		}
	}
	return false
}

// Report takes load reports of this route.
func (c *Controller) Report(loads []analysis.Load) {
	if c.tally == nil {
		return
	}
	c.tally.Report(loads)
	if c.sense != nil && c.gap != "" {
		c.sense.report(loads)
	}
}

// Mute says which connected proxies send no load reports, and since when: all of
// them, whatever was said before.
func (c *Controller) Mute(silent map[string]time.Time) {
	c.silent = silent
	if c.tally != nil {
		c.tally.Mute(silent)
	}
}

// Stream says that an access-log stream of a proxy opened or closed.
func (c *Controller) Stream(now time.Time, proxy string, open bool) {
	if c.tally != nil {
		c.tally.Stream(now, proxy, open)
	}
}

// Measured brings a metric from elsewhere, of a rollout by its id.
func (c *Controller) Measured(rollout string, m analysis.Measurement) {
	if c.sense == nil || c.sense.rollout != rollout {
		return
	}
	c.sense.evidence = c.sense.evidence.Measure(c.sense.policy, m)
	c.dirty = true
}

// Tick lets time pass: windows close, the trip and the evidence are looked at,
// waits run out. Call it every 50 ms.
func (c *Controller) Tick(now time.Time) {
	if c.tally == nil {
		return
	}
	c.again(now)
	c.past.Turn(now)
	gaps := c.tally.Gaps(now)
	c.gap = ""
	if len(gaps) > 0 {
		c.gap = gaps[0].String()
	}
	if c.begun && c.sense != nil && c.sense.bins != nil {
		c.look(now, gaps)
	}
	if c.begun {
		c.lookStudy(now)
		c.lookTest(now)
		c.event(canary.Tick{At: now})
	}
	c.keepTest(now)
	c.keep(now)
}

// again tries to bring a configuration into force that could not be saved.
func (c *Controller) again(now time.Time) {
	if c.pending == nil || c.state.Fault != nil && now.Before(c.state.Fault.Again) {
		return
	}
	e := *c.pending
	e.At = now
	if err := c.bring(e); err != nil {
		c.Log.Error("configuration not in force", "error", err)
	}
}

// look takes the signals in.
func (c *Controller) look(now time.Time, gaps []analysis.Gap) {
	for _, g := range gaps {
		c.sense.spoil(g)
	}
	c.lookBlind(now, gaps)
	c.lookTrip(now)
	c.lookSettlement(now)
	if c.sense == nil {
		return
	}
	c.dirty = c.sense.close(now) || c.dirty
	if now.Sub(c.sense.aged) >= time.Second {
		c.sense.bins.SetAge(now, c.past.Age(c.sense.policy))
		c.sense.bins.SetPatience(c.past.Patience(c.sense.policy))
		c.sense.aged = now
	}
	c.lookEvidence(now)
}

// lookBlind tells the machine that sight is lost. A look at the evidence tells it
// when it is back.
func (c *Controller) lookBlind(now time.Time, gaps []analysis.Gap) {
	if len(gaps) == 0 {
		return
	}
	c.noteGap(gaps[0])
	if c.state.Rollout.Blind == nil {
		c.event(canary.Blinded{At: now, Reason: c.gap})
	}
}

// noteGap writes into the trace that entries are missing; of a gap that goes on, how
// long it has become.
func (c *Controller) noteGap(g analysis.Gap) {
	t, was := c.trace(), c.noted
	if t == nil {
		return
	}
	same := was.From.Equal(g.From) && was.Proxy == g.Proxy && was.Version == g.Version && was.Cause == g.Cause
	switch n := len(t.Gaps); {
	case same && n > 0:
		t.Gaps = append(slices.Clone(t.Gaps[:n-1]), g.String()) // snapshots have the old one
	case n < canary.KeptGaps:
		t.Gaps, c.noted = append(t.Gaps, g.String()), g
	}
}

// noteAbsence writes into the trace of a rollout that goes on after a restart since when
// nothing was seen of it, or seen and not kept: nobody reports that.
func (c *Controller) noteAbsence(now time.Time) {
	t := c.trace()
	if t == nil || len(t.Gaps) >= canary.KeptGaps || c.savedAt.IsZero() {
		return
	}
	t.Gaps = append(t.Gaps, fmt.Sprintf("no request from %s for %s is counted: the control plane was away",
		c.savedAt.UTC().Format("15:04:05.000"), now.Sub(c.savedAt).Round(time.Millisecond)))
}

// trace is of the rollout that runs; nil where there is none.
func (c *Controller) trace() *canary.Trace {
	if c.sense == nil || len(c.traces) == 0 || c.traces[0].Rollout != c.sense.rollout {
		return nil
	}
	return &c.traces[0]
}

// lookTrip asks the watch, while there is a share to take away.
func (c *Controller) lookTrip(now time.Time) {
	if c.state.Published.Weight(c.sense.arms.Candidate) == 0 {
		return
	}
	suspicion, tripped := c.sense.watch.Look(now)
	if !tripped && c.gap != "" {
		suspicion, tripped = c.sense.dark.Look(now)
	}
	if !tripped {
		return
	}
	c.suspect = &suspicion
	c.event(canary.Suspected{At: now, Reason: suspicion.Reason(), LogE: suspicion.LogE, Needed: suspicion.LogNeeded, N: suspicion.N})
}

// lookSettlement asks what mirrored traffic shows.
func (c *Controller) lookSettlement(now time.Time) {
	if c.sense == nil || c.sense.settlement == nil || c.state.Rollout.OpenTrip() == nil {
		return
	}
	ruling := c.sense.settlement.Judge(c.sense.policy, now)
	c.sense.ruling = &ruling
	if ruling.Outcome == analysis.RulingOpen {
		return
	}
	c.event(canary.Settled{At: now, Confirmed: ruling.Outcome == analysis.RulingConfirmed, Reason: ruling.Reason})
}

// lookEvidence judges it.
func (c *Controller) lookEvidence(now time.Time) {
	s := c.sense
	if s == nil || now.Sub(s.judged) < Look {
		return
	}
	s.judged = now
	a := analysis.Judge(s.policy, s.evidence, now)
	c.last = &a
	if t := c.trace(); t != nil {
		t.Assessment = &a
	}
	told := a
	if why := s.blind(c.gap); why != "" {
		told.Verdict, told.Reason = analysis.Blind, why
		told.Why = analysis.Why{Kind: analysis.WhySignals}
		c.last = &told
	}
	c.event(canary.Judged{At: now, Assessment: told})
}

// keep saves evidence that was not saved for long.
func (c *Controller) keep(now time.Time) {
	if !c.stale() || c.state.Fault != nil || now.Sub(c.savedAt) < Keep {
		return
	}
	if err := c.flush(now); err != nil {
		c.event(canary.SaveFailed{At: now, Text: err.Error()})
	}
}

// leave saves what is not saved, as the last thing that is done.
func (c *Controller) leave(now time.Time) {
	if t := c.test; t != nil && t.changed {
		t.keep(now)
		c.dirty = true
	}
	if !c.stale() {
		return
	}
	if err := c.flush(now); err != nil {
		c.Log.Error("the last evidence is not saved", "error", err)
	}
}

// stale says whether what is kept is behind what is known. While a rollout runs, at
// least until when it was seen is.
func (c *Controller) stale() bool { return c.dirty || c.sense != nil }

// flush saves the state as it is.
func (c *Controller) flush(now time.Time) error {
	if err := c.Store.Save(c.checkpoint(now), c.unsaved); err != nil {
		return err
	}
	c.savedAll(now)
	return nil
}

// savedAll says that the store has everything.
func (c *Controller) savedAll(now time.Time) {
	c.unsaved, c.savedAt, c.dirty = nil, now, false
	if c.test != nil {
		c.test.unsaved = nil
	}
}

// checkpoint is everything that is kept, but for the ledger of an A/B test that the store has.
func (c *Controller) checkpoint(now time.Time) canary.Checkpoint {
	kept := canary.Checkpoint{
		At: now.UTC(), State: c.state, Route: c.route, Policy: c.policy,
		Evidence: c.saved, Study: c.keptStudy(), ABTest: c.keptTest(), ABTraces: c.tests, Traces: c.traces, Conditions: c.stated,
	}
	if c.sense != nil {
		kept.Evidence = &c.sense.evidence
		kept.Settlement = c.sense.settlement
	}
	return kept
}

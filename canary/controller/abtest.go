package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// ErrNoTest says that no A/B test with outcomes runs.
var ErrNoTest = errors.New("no A/B test with outcomes runs")

// comparison is the A/B test that runs.
type comparison struct {
	id       string
	began    time.Time
	ledger   *analysis.ABLedger
	standing analysis.ABAssessment
	judged   int64 // units, when it was

	unsaved *analysis.ABSaved // the ledger as of keptAt; nil once it is saved
	keptAt  time.Time
	changed bool // since then
}

// Receipt says what became of outcomes that were sent. What was taken is saved within
// LedgerKeep, or a minute where units are many; a batch may be sent again, for what repeats is counted once.
type Receipt struct {
	Test  string `json:"test"` // id of the one that they were taken for
	Taken int    `json:"taken"`
	// Refused were malformed. Of many, the first.
	Refused   []Refusal `json:"refused,omitempty"`
	Malformed int       `json:"malformed"` // how many were refused
}

// Refusal is why one outcome was not taken.
type Refusal struct {
	Index int    `json:"index"` // in what was sent, from 0
	Error string `json:"error"`
}

// keptRefusals is how many a Receipt names.
const keptRefusals = 20

// newComparison begins to count for a test.
func newComparison(t canary.ABTest) *comparison {
	c := &comparison{id: t.ID, began: t.Began, keptAt: t.Began, ledger: analysis.NewABLedger(analysis.NewABTest(t.Spec))}
	c.judge()
	return c
}

func (t *comparison) judge() { t.standing = t.ledger.Test().Judge(t.ledger.Evidence()) }

// trace is what was seen so far.
func (t *comparison) trace() canary.ABTrace {
	return canary.ABTrace{Test: t.id, Standing: t.standing, Counts: t.ledger.Counts()}
}

// restoreTest goes on with the A/B test that was saved. Users are served also where its
// memory cannot be read; then it counts anew, for what it knew of whom it counted is gone.
func (c *Controller) restoreTest(kept canary.Checkpoint) {
	c.tests = kept.ABTraces
	t := kept.State.RunningTest()
	if t == nil {
		return
	}
	c.test = newComparison(*t)
	if kept.ABTest == nil || kept.ABTest.ID != t.ID {
		return
	}
	ledger, err := analysis.RestoreABLedger(c.test.ledger.Test(), kept.ABTest.ABSaved)
	if err != nil {
		c.Log.Error("A/B test counts anew", "test", t.ID, "error", err)
		return
	}
	// Saved again: an older version may have kept it where the next save writes over it.
	c.test.ledger, c.test.unsaved = ledger, &kept.ABTest.ABSaved
	c.test.judge()
}

// followTest begins or ends a comparison with the state's A/B test.
func (c *Controller) followTest() {
	t, is := c.state.RunningTest(), c.test
	if is != nil && (t == nil || t.ID != is.id) {
		c.tests = append([]canary.ABTrace{is.trace()}, c.tests...)
		c.tests = c.tests[:min(len(c.tests), canary.KeptHistory)]
		c.test, is = nil, nil
	}
	if t != nil && is == nil {
		c.test = newComparison(*t)
	}
}

// declareTest tells the ledger of the split that is in force.
func (c *Controller) declareTest() {
	if t := c.state.RunningTest(); t != nil && c.test != nil {
		c.test.ledger.Declare(c.state.Published.Epoch, whole(c.state.Published, t.Spec))
	}
}

// whole says whether every arm has its share.
func whole(split config.Split, spec config.ABTest) bool {
	for arm, share := range spec.Arms {
		if split.Weight(arm) != share.BasisPoints() {
			return false
		}
	}
	return true
}

// served takes requests of the test's units.
func (c *Controller) served(requests []analysis.Request) {
	if c.test == nil {
		return
	}
	for _, r := range requests {
		if !r.Start.Before(c.test.began) {
			c.test.ledger.Serve(r)
		}
	}
	c.test.changed = true
}

// Tell takes outcomes of the A/B test that runs. The error is ErrNoTest or
// ErrNotConfigured; then none was taken.
func (c *Controller) Tell(now time.Time, reports []analysis.ABReport) (Receipt, error) {
	switch {
	case !c.begun:
		return Receipt{}, ErrNotConfigured
	case c.test == nil:
		return Receipt{}, ErrNoTest
	}
	ledger := c.test.ledger
	receipt := Receipt{Test: c.test.id}
	for i, r := range reports {
		err := ledger.Test().Check(now, r)
		if err == nil {
			ledger.Report(now, r)
			receipt.Taken++
			continue
		}
		ledger.Refuse(1)
		receipt.Malformed++
		if len(receipt.Refused) < keptRefusals {
			receipt.Refused = append(receipt.Refused, Refusal{Index: i, Error: err.Error()})
		}
	}
	c.test.changed = true
	return receipt, nil
}

// lookTest counts the units whose time is over, and judges. While log entries are
// missing nothing is decided; a test whose date has come ends all the same.
func (c *Controller) lookTest(now time.Time) {
	is := c.test
	if is == nil || !is.ledger.Close(now, c.grace()) {
		return
	}
	if n := is.ledger.Counts().Closed; n != is.judged {
		is.judge()
		is.judged, is.changed = n, true
	}
	cause, over := c.state.RunningTest().Over(now, is.standing.Winner)
	if over && (cause != canary.CauseEvidence || c.gap == "") {
		c.event(canary.Concluded{At: now, Test: is.id, Winner: is.standing.Winner, Reason: is.standing.Reason})
	}
}

// grace is how long after its start a request and its log entry may come.
func (c *Controller) grace() time.Duration {
	const flushed = time.Second
	return c.route.Timeouts.Request.D() + flushed
}

// keepTest saves what came of the A/B test since it was saved last. A ledger of many
// units takes its time to be written, so it is written more seldom.
func (c *Controller) keepTest(now time.Time) {
	t := c.test
	if t == nil || !t.changed || c.state.Fault != nil || now.Sub(t.keptAt) < t.pause() {
		return
	}
	t.keep(now)
	if err := c.flush(now); err != nil {
		t.changed = true
		c.event(canary.SaveFailed{At: now, Text: err.Error()})
	}
}

// keep takes down what is to be saved.
func (t *comparison) keep(now time.Time) {
	saved := t.ledger.Save()
	t.unsaved, t.keptAt, t.changed = &saved, now, false
}

// LedgerKeep is how often what an A/B test has counted is saved, at the most: a ledger is
// larger than the evidence of a rollout.
const LedgerKeep = 10 * time.Second

// pause is how long a ledger is not written: LedgerKeep, and as much again for each 50,000
// units, up to a minute.
func (t *comparison) pause() time.Duration {
	counts := t.ledger.Counts()
	return min(LedgerKeep*time.Duration(1+(counts.Open+counts.Closed)/50_000), time.Minute)
}

// keptTest is what is to be saved of the A/B test that runs; nil where the store has it.
func (c *Controller) keptTest() *canary.KeptABTest {
	if c.test == nil || c.test.unsaved == nil {
		return nil
	}
	return &canary.KeptABTest{ID: c.test.id, ABSaved: *c.test.unsaved}
}

// seenTests is what was seen of A/B tests, newest first.
func (c *Controller) seenTests() []canary.ABTrace {
	if c.test == nil {
		return c.tests
	}
	return append([]canary.ABTrace{c.test.trace()}, c.tests...)
}

// ABTrace finds what was seen of an A/B test by its id.
func (s Snapshot) ABTrace(id string) (canary.ABTrace, bool) {
	for _, t := range s.ABTraces {
		if t.Test == id {
			return t, true
		}
	}
	return canary.ABTrace{}, false
}

// ABTest is the A/B test that is configured, be it over, and what was seen of it; false
// where none is.
func (s Snapshot) ABTest() (canary.ABTest, canary.ABTrace, bool) {
	t := s.State.AskedTest()
	if t == nil {
		return canary.ABTest{}, canary.ABTrace{}, false
	}
	trace, _ := s.ABTrace(t.ID)
	return *t, trace, true
}

// Tell takes outcomes of the A/B test that runs on an inference route. It answers
// within a second: an error is ErrNoRoute, ErrNoTest, ErrNotConfigured or ErrBusy.
func (m *Manager) Tell(ctx context.Context, k config.Key, reports []analysis.ABReport) (Receipt, error) {
	r := m.find(k)
	if r == nil {
		return Receipt{}, fmt.Errorf("%s: %w", k, ErrNoRoute)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, ErrBusy)
	defer cancel()
	answer := make(chan Receipt, 1)
	err := r.ask(ctx, m.done, func(c *Controller) error {
		receipt, err := c.Tell(m.config.Now(), reports)
		answer <- receipt
		return err
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: %w", k, err)
	}
	return <-answer, nil
}

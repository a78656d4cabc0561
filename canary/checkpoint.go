package canary

import (
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Checkpoint is what a store keeps of one inference route, as one whole: a state
// that is saved without its evidence would void the bounds on errors.
type Checkpoint struct {
	State State `json:"state"`

	// At is when it was made. What came later was seen by nobody who goes on from it.
	At time.Time `json:"at,omitzero"`

	// Route and Policy are the configuration in force: the last that was accepted.
	Route  config.RouteSpec  `json:"route"`
	Policy config.PolicySpec `json:"policy"`

	// Evidence is of the rollout that runs, or else of the last one.
	Evidence *analysis.Evidence `json:"evidence,omitempty"`
	// Settlement is of the open trip.
	Settlement *analysis.Settlement `json:"settlement,omitempty"`

	// Study is of a shadow as a strategy, where its answers are compared.
	Study *Study `json:"study,omitempty"`

	// ABTest is what was counted in the A/B test that runs. It is large: nil saves nothing
	// of it, and the store keeps what it has for as long as the test runs.
	ABTest *KeptABTest `json:"abTest,omitempty"`
	// ABTraces are what was seen of the last A/B tests that ended, newest first.
	ABTraces []ABTrace `json:"abTraces,omitempty"`

	// Traces are what was seen of the last rollouts, newest first.
	Traces []Trace `json:"traces,omitempty"`

	// Conditions as they were last told, with their transition times.
	Conditions []Condition `json:"conditions,omitempty"`
}

// Study is what a shadow's answers showed. The policy is of answers alone.
type Study struct {
	Policy   config.PolicySpec `json:"policy"`
	Evidence analysis.Evidence `json:"evidence"`
}

// Trace is what was seen of one rollout, beside what was decided.
type Trace struct {
	Rollout  string           `json:"rollout"` // id
	Arms     analysis.Arms    `json:"arms"`
	Versions []config.Version `json:"versions"` // as they were when it began

	// Since is the epoch in force when it began, Until the one that ended it: what
	// carries that is no longer its. Zero while it runs.
	Since uint64 `json:"since"`
	Until uint64 `json:"until,omitempty"`

	Stable    Exposure `json:"stable"`
	Candidate Exposure `json:"candidate"`

	// Served counts live requests by the epoch stamped on them, oldest first.
	Served []Served `json:"served,omitempty"`

	// Gaps are times in which log entries were lost, at most KeptGaps.
	Gaps []string `json:"gaps,omitempty"`

	// Assessment is the last one that was not blind.
	Assessment *analysis.Assessment `json:"assessment,omitempty"`
}

// KeptGaps is how many gaps a trace names.
const KeptGaps = 20

// KeptTraces is how many traces a checkpoint holds.
const KeptTraces = KeptHistory + 1

// Exposure is what users felt of one arm.
type Exposure struct {
	Requests  int64     `json:"requests"`            // live ones that have ended
	Errors    int64     `json:"errors"`              // of Requests
	Abandoned int64     `json:"abandoned,omitempty"` // of Requests: the client left
	Mirrored  int64     `json:"mirrored"`            // copies that nobody waited for
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"` // start of the last live request
}

// Served is how many live requests of each arm carried an epoch.
type Served struct {
	Epoch     uint64 `json:"epoch"`
	Stable    int64  `json:"stable"`
	Candidate int64  `json:"candidate"`
}

// Weight is the candidate's observed share in basis points, and whether there
// was any request to observe it by.
func (s Served) Weight() (basisPoints uint32, ok bool) {
	total := s.Stable + s.Candidate
	if total == 0 {
		return 0, false
	}
	return uint32((s.Candidate*config.WholeSplit + total/2) / total), true
}

// last is when the last live request began.
func (t Trace) last() time.Time {
	if t.Candidate.Last.After(t.Stable.Last) {
		return t.Candidate.Last
	}
	return t.Stable.Last
}

// Clone copies what Count changes in place.
func (t Trace) Clone() Trace {
	t.Served = slices.Clone(t.Served)
	t.Gaps = slices.Clone(t.Gaps)
	return t
}

// Count adds a request that has ended, if the trace's rollout is answerable for it.
func (t *Trace) Count(r analysis.Request) {
	if r.Running || r.Epoch < t.Since || t.Until != 0 && r.Epoch >= t.Until {
		return
	}
	arm := &t.Stable
	switch r.Version {
	case t.Arms.Stable:
	case t.Arms.Candidate:
		arm = &t.Candidate
	default:
		return
	}
	if r.Shadow {
		arm.Mirrored++
		return
	}
	if !r.Evident() {
		return
	}
	arm.count(r)
	t.serve(r)
}

func (e *Exposure) count(r analysis.Request) {
	e.Requests++
	switch {
	case r.Outcome.Error():
		e.Errors++
	case r.Outcome == analysis.Abandoned:
		e.Abandoned++
	}
	start := instant(r.Start)
	if e.First.IsZero() || start.Before(e.First) {
		e.First = start
	}
	if start.After(e.Last) {
		e.Last = start
	}
}

// serve counts by epoch.
func (t *Trace) serve(r analysis.Request) {
	i := len(t.Served) - 1
	for i >= 0 && t.Served[i].Epoch > r.Epoch {
		i--
	}
	if i < 0 || t.Served[i].Epoch != r.Epoch {
		i++
		t.Served = slices.Insert(t.Served, i, Served{Epoch: r.Epoch})
	}
	if r.Version == t.Arms.Candidate {
		t.Served[i].Candidate++
	} else {
		t.Served[i].Stable++
	}
}

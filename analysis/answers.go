package analysis

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// Comparison is what the answers to one copied request showed.
type Comparison struct {
	ID string // of the request
	// Left says why it was not compared. Empty: it was.
	Left LeftOut

	Differs bool // the shadow's answer from stable's
	// Twice says that stable answered a second time, and Noise whether that answer
	// differed from its first.
	Twice, Noise bool

	Stable, Shadow string // what they said: a digest or label, or a status
}

// LeftOut is why answers were not compared.
type LeftOut string

// Reasons. None of them is agreement.
const (
	LeftUnmatched  LeftOut = "unmatched"  // one of them was not told of in time
	LeftUnsent     LeftOut = "unsent"     // the copy was one too many, and was not sent
	LeftUnanswered LeftOut = "unanswered" // stable failed: there is nothing to compare with
	LeftUnlabelled LeftOut = "unlabelled" // one of them has no digest
	LeftUnreadable LeftOut = "unreadable" // stable's body has not what is compared
	LeftLong       LeftOut = "long"       // one of them is longer than LongestBody
)

// agreement is the evidence on a shadow's answers.
type agreement struct {
	Noise rate `json:"noise"` // how many of stable's second answers differed from its first
	// Single is the test against the slo, of all that were compared; Paired McNemar's: of requests of which exactly
	// one of the two further answers differed, bad are those where it was the shadow's.
	// research: statistics §2e.
	Single limit `json:"single"`
	Paired limit `json:"paired"`

	Left map[LeftOut]int64 `json:"left,omitempty"`
	// Unreadable says why the last body was.
	Unreadable string         `json:"unreadable,omitempty"`
	Examples   []Disagreement `json:"examples,omitempty"`
}

// Disagreement is one request to which the shadow gave another answer.
type Disagreement struct {
	ID     string `json:"id"` // of the request, as in x-request-id
	Stable string `json:"stable"`
	Shadow string `json:"shadow"`
}

// KeptExamples is how many disagreements are kept, drawn from all by their ids.
const KeptExamples = 10

func newAgreement(p config.PolicySpec) *agreement {
	if _, compared := p.Answers(); !compared {
		return nil
	}
	a := new(agreement)
	notBegun(a.Single.Harm.Past[:])
	notBegun(a.Paired.Harm.Past[:])
	return a
}

func (a *agreement) clone() *agreement {
	if a == nil {
		return nil
	}
	next := *a
	next.Examples = slices.Clone(a.Examples)
	next.Left = maps.Clone(a.Left)
	return &next
}

// start gives the rollback tests another start with a part of the evidence.
func (a *agreement) start(part float64) {
	a.Single.Harm.start(part)
	a.Paired.Harm.start(part)
}

// Compare adds what the answers to copied requests showed, in the order that Pairs
// gives. p must be the policy that the evidence began with.
func (e Evidence) Compare(p config.PolicySpec, comparisons ...Comparison) Evidence {
	m, compared := p.Answers()
	if !compared || e.Answers == nil || len(comparisons) == 0 {
		return e
	}
	next := e.clone()
	grids := newAnswerGrids(m)
	for _, c := range comparisons {
		next.Answers.add(&grids, c)
	}
	return next
}

// answerGrids are the alternatives, computed once per batch.
type answerGrids struct{ single, harm, safe limitGrid }

func newAnswerGrids(m config.Metric) (g answerGrids) {
	if m.SLO != nil {
		g.single = newLimitGrid(m.SLO.Max.Fraction())
	}
	if v := m.VersusStable; v != nil {
		g.harm, g.safe = newLimitGrid(evenAt(float64(v.RollbackIf))), newLimitGrid(evenAt(v.PromoteIf.Ratio))
	}
	return g
}

// evenAt is the chance that it is the shadow's answer that differs, of those where one
// of two does, if it differs so many times as often as stable's own.
func evenAt(ratio float64) float64 { return ratio / (1 + ratio) }

func (a *agreement) add(g *answerGrids, c Comparison) {
	if c.Left != "" {
		if a.Left == nil {
			a.Left = map[LeftOut]int64{}
		}
		a.Left[c.Left]++
		if c.Left == LeftUnreadable {
			a.Unreadable = c.Stable
		}
		return
	}
	differs := rateOf(c.Differs)
	a.compare(g, differs)
	if c.Twice {
		a.Noise = a.Noise.plus(rateOf(c.Noise))
	}
	if c.Twice && c.Differs != c.Noise {
		a.pair(g, differs)
	}
	if c.Differs {
		a.keep(Disagreement{ID: c.ID, Stable: c.Stable, Shadow: c.Shadow})
	}
}

// compare adds answers, and how many of the shadow's differed. Each is a block: no burst
// of them is one event.
func (a *agreement) compare(g *answerGrids, differs rate) {
	a.Single.add(&g.single, differs, differs)
	a.Single.closeBlock(natsLimit)
}

// pair adds requests of which one further answer differed, and how often that was the
// shadow's.
func (a *agreement) pair(g *answerGrids, shadows rate) {
	a.Paired.Candidate = a.Paired.Candidate.plus(shadows)
	a.Paired.Harm.above(&g.harm, shadows)
	a.Paired.Safe.below(&g.safe, shadows)
	a.Paired.closeBlock(natsLimit)
}

// keep draws from all disagreements alike: those whose ids have the lowest hashes.
func (a *agreement) keep(d Disagreement) {
	at, found := slices.BinarySearchFunc(a.Examples, d, func(x, y Disagreement) int {
		return cmp.Or(cmp.Compare(hashOf(x.ID), hashOf(y.ID)), cmp.Compare(x.ID, y.ID))
	})
	if !found && at < KeptExamples {
		a.Examples = slices.Insert(a.Examples, at, d)
		a.Examples = a.Examples[:min(len(a.Examples), KeptExamples)]
	}
}

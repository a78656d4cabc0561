package analysis

import (
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Evidence is the running total of a rollout's tests. It is saved with the
// rollout: forgetting it would void the bounds on errors. It holds nothing but
// integers, so that the same windows give the same bytes on any machine, however
// they were grouped.
type Evidence struct {
	Arms Arms `json:"arms"`

	First   int64 `json:"first"`   // index of the first window counted
	Through int64 `json:"through"` // index of the last window counted; no index is counted twice
	Spans   int64 `json:"spans"`   // number of indexes counted; First and Through mean nothing while it is zero
	Refused int64 `json:"refused"` // windows that came at or before Through

	Stable    rate `json:"stable"`    // answered requests and errors of all windows
	Candidate rate `json:"candidate"` // likewise
	Pace      fade `json:"pace"`      // candidate requests per window, lately

	Restarts int64 `json:"restarts"` // minutes that had their part of the evidence

	Odds     *odds         `json:"odds,omitempty"`
	Clients  *clientErrors `json:"clientErrors,omitempty"` // there is one where there are Odds
	Segments *segments     `json:"segments,omitempty"`     // nil: none is watched
	Limits   []limit       `json:"limits,omitempty"`       // in the order of limitsOf
	Latency  *latency      `json:"latency,omitempty"`
	TTFB     *latency      `json:"ttfb,omitempty"`
	TPOT     *latency      `json:"tpot,omitempty"`
	Tokens   *tokens       `json:"tokens,omitempty"` // nil where no time per token is judged
	Own      []own         `json:"own,omitempty"`    // metrics from elsewhere, in the policy's order
	Answers  *agreement    `json:"answers,omitempty"`
	Warm     warmings      `json:"warm,omitempty"`
	Shares   shares        `json:"shares"`
	Units    *units        `json:"units,omitempty"` // nil: requests are drawn, not units
}

// Closed is what closed since the last update.
type Closed struct {
	// Windows of any pods, proxies, epochs and versions, each index whole. Those of a
	// gap are left out by the caller. Stable's from before the candidate had a share
	// are welcome: latencies are compared once a quantile of stable is known.
	Windows []Window
	// Shares is the candidate's declared share of the traffic of both arms by epoch,
	// in basis points, of at least the epochs in Windows. An epoch that is missing, or
	// that has one arm only, has no split to check.
	Shares map[uint64]uint32
}

// NewEvidence is the evidence of a rollout that has seen nothing. p is a parsed
// policy, with its defaults.
func NewEvidence(p config.PolicySpec, arms Arms) Evidence {
	e := Evidence{Arms: arms, Limits: make([]limit, len(limitsOf(p)))}
	for i := range e.Limits {
		notBegun(e.Limits[i].Harm.Past[:])
	}
	if versus := metricOf(p, config.MetricErrors).VersusStable; versus != nil {
		e.Odds, e.Clients = new(odds), newClientErrors()
		notBegun(e.Odds.Harm.Past[:])
	}
	e.Latency = newLatency(ranksOf(metricOf(p, config.MetricLatency)))
	e.TTFB = newLatency(ranksOf(metricOf(p, config.MetricTTFB)))
	e.TPOT = newLatency(ranksOf(metricOf(p, config.MetricTPOT)))
	e.Tokens = newTokens(p)
	for _, m := range ownsOf(p) {
		e.Own = append(e.Own, newOwn(m))
	}
	e.Answers = newAgreement(p)
	e.start(firstPart)
	if p.Segments != nil {
		e = e.Segmented(p.Segments.Max)
	}
	return e
}

// Update adds closed windows. Windows at or before those already counted are
// refused. p must be the policy that the evidence began with.
func (e Evidence) Update(p config.PolicySpec, c Closed) Evidence {
	next := e.clone()
	u := newUpdater(p, c.Shares)
	for rest := inOrder(c.Windows, e.Arms); len(rest) > 0; {
		n := slices.IndexFunc(rest, func(w *Window) bool { return w.Index != rest[0].Index })
		if n < 0 {
			n = len(rest)
		}
		next.observe(u, rest[:n])
		rest = rest[n:]
	}
	return next
}

func (e Evidence) clone() Evidence {
	if e.Odds != nil {
		o := *e.Odds
		e.Odds, e.Clients = &o, e.Clients.clone()
	}
	if e.Segments != nil {
		e.Segments = e.Segments.clone()
	}
	e.Latency, e.TTFB, e.TPOT, e.Tokens = e.Latency.clone(), e.TTFB.clone(), e.TPOT.clone(), e.Tokens.clone()
	e.Limits, e.Warm, e.Own = slices.Clone(e.Limits), slices.Clone(e.Warm), slices.Clone(e.Own)
	for i := range e.Own {
		e.Own[i] = e.Own[i].clone()
	}
	e.Shares, e.Answers, e.Units = e.Shares.clone(), e.Answers.clone(), e.Units.clone()
	return e
}

// observe counts the windows of one index.
func (e *Evidence) observe(u *updater, windows []*Window) {
	index := windows[0].Index
	if e.Spans > 0 && index <= e.Through {
		e.Refused += int64(len(windows))
		return
	}
	e.advance(u, index)
	var all []drawing
	for _, s := range strata(windows, e.Arms) {
		all = append(all, e.count(u, s))
	}
	if e.Segments != nil {
		e.Segments.add(u, all, e.unspentOf(u.minutes))
	}
	e.countTimes(u, windows)
	e.Tokens.count(windows, e.Arms)
}

// advance moves to an index, closing the block that ends before it.
func (e *Evidence) advance(u *updater, index int64) {
	if e.Spans == 0 {
		e.First, e.Through = index, index-1
	}
	if floorDiv(index, u.block) != floorDiv(e.Through, u.block) {
		e.closeBlock(u)
	}
	e.Pace.add(rate{N: min(index-e.Through, u.block)})
	e.Through = index
	e.Spans++
}

func (e *Evidence) closeBlock(u *updater) {
	if e.Odds != nil {
		e.Odds.closeBlock(u.burst)
		e.Clients.Odds.closeBlock(u.burst)
	}
	if e.Segments != nil {
		e.Segments.closeBlock(u, floorDiv(e.Through, u.block))
	}
	for i := range e.Limits {
		e.Limits[i].closeBlock(u.limits[i].burst)
		e.Limits[i].Stable.decay(u.block)
	}
	for _, l := range e.timed() {
		l.closeBlock(floorDiv(e.Through, u.block), u.block)
	}
	e.Pace.decay(u.block)
	due := min(u.minutes, (e.Through-e.First+1)/int64(time.Minute/WindowLength))
	for ; e.Restarts < due; e.Restarts++ {
		e.start((1 - firstPart) / float64(u.minutes))
	}
}

// start gives every rollback test another start with a part of its evidence.
func (e *Evidence) start(part float64) {
	if e.Odds != nil {
		e.Odds.Harm.start(part)
		e.Clients.Odds.Harm.start(part)
	}
	if e.Segments != nil {
		e.Segments.start(part)
	}
	for i := range e.Limits {
		e.Limits[i].Harm.start(part)
	}
	for _, l := range e.timed() {
		l.start(part)
	}
	for i := range e.Own {
		e.Own[i].start(part)
	}
	if e.Answers != nil {
		e.Answers.start(part)
	}
}

// unspent is the part of rollback evidence that later minutes will get.
func (e *Evidence) unspent(p config.PolicySpec) float64 { return e.unspentOf(minutesOf(p)) }

func (e *Evidence) unspentOf(minutes int64) float64 {
	return (1 - firstPart) * float64(minutes-e.Restarts) / float64(minutes)
}

// count adds one stratum to every test of requests, and gives what it is worth.
func (e *Evidence) count(u *updater, s stratum) drawing {
	e.Stable = e.Stable.plus(s.stable.rate())
	e.Candidate = e.Candidate.plus(s.candidate.rate())
	e.Pace.add(rate{Bad: s.candidate.requests})
	d := e.Units.draw(s)
	e.Shares.add(d.stratum(func(a armDrawing) sums { return a.split }), u.declared[s.epoch])
	if e.Odds != nil {
		e.addErrors(u, d)
	}
	for i, l := range u.limits {
		if l.latency == 0 {
			e.Limits[i].add(&u.grids[i], d.arms[ofCandidate].atRisk, d.arms[ofCandidate].safe.rate())
			e.Limits[i].Stable.add(s.stable.rate())
		}
	}
	return d
}

// addErrors compares the errors of both arms.
func (e *Evidence) addErrors(u *updater, d drawing) {
	harm := d.stratum(func(a armDrawing) sums { return a.harm })
	if d.byUnits {
		e.Odds.addApart(&u.odds, harm, d.stratum(func(a armDrawing) sums { return a.safe }))
	} else {
		e.Odds.add(&u.odds, harm)
	}
	e.Clients.add(&u.odds, d.arms[ofStable].clients, d.arms[ofCandidate].clients)
}

package controller

import (
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// sense is what watches one rollout: windows and evidence, the trip, its
// settlement, and how far all of it can be trusted.
type sense struct {
	rollout string // id
	policy  config.PolicySpec
	arms    analysis.Arms
	sticky  bool // units are, so they are what counts

	bins     *analysis.Bins  // nil until resume
	pairs    *analysis.Pairs // nil where no answers are compared
	evidence analysis.Evidence
	shares   map[uint64]uint32 // the candidate's declared share by epoch, basis points

	watch *analysis.Watch
	from  uint64 // epoch below which the candidate's requests are of before
	// dark watches errors in load reports while the logs are away.
	dark       *analysis.Watch
	settlement *analysis.Settlement
	ruling     *analysis.Ruling

	spoiled int64 // index of the last window that a gap spoiled; the next clean one ends blindness
	// spoiledFrom is the first of the windows without a break that gaps spoiled up to
	// spoiled.
	spoiledFrom int64
	gap         string
	now         time.Time // of the last tick
	judged      time.Time
	aged        time.Time
}

func newSense(r canary.Rollout, key config.Key) *sense {
	arms := analysis.Arms{Route: key, Stable: r.Stable, Candidate: r.Candidate}
	s := &sense{
		rollout:  r.ID,
		policy:   r.Policy,
		arms:     arms,
		sticky:   r.Stickiness != nil,
		evidence: analysis.NewEvidence(r.Policy, arms),
		shares:   map[uint64]uint32{},
	}
	if s.sticky {
		s.evidence = s.evidence.ByUnit()
	}
	s.renew()
	if m, compared := r.Policy.Answers(); compared {
		s.pairs = analysis.NewPairs(m, arms)
	}
	for _, p := range r.Passages {
		s.declare(p.Epoch, p.Weight)
	}
	return s
}

// errorsOnly is a policy without latencies: load reports have none.
func errorsOnly(p config.PolicySpec) config.PolicySpec {
	p.Metrics = slices.DeleteFunc(slices.Clone(p.Metrics), func(m config.Metric) bool {
		return m.Name != config.MetricErrors
	})
	return p
}

// resume begins with the windows that open from now on: what came before was not
// seen, and counts for neither arm.
func (s *sense) resume(now time.Time, age time.Duration) {
	s.bins = analysis.NewBins(now, age)
	s.spoiled = analysis.IndexAt(now) - 1
	s.now = now
}

// split takes the split that is now in force.
func (s *sense) split(split config.Split) {
	s.watch.Split(split)
	s.dark.Split(split)
	if s.pairs != nil {
		s.pairs.Split(split)
	}
	s.declare(split.Epoch, split.Weight(s.arms.Candidate))
}

// declare notes an epoch's share, if both arms had one.
func (s *sense) declare(epoch uint64, weight uint32) {
	if weight > 0 && weight < config.WholeSplit {
		s.shares[epoch] = weight
	}
}

// turn follows a change of phase. It gives a copy where it changes anything: the
// step may yet fail.
func (s *sense) turn(was, is canary.Rollout, suspicion *analysis.Suspicion, epoch uint64) *sense {
	next := *s
	switch {
	case is.Phase == canary.Tripped:
		next.renew()
		if trip := is.OpenTrip(); trip != nil && suspicion != nil && is.Mirroring == config.MirroringAllowed {
			settlement := analysis.NewSettlement(s.policy, s.arms, *suspicion, trip.Number)
			next.settlement = &settlement
		}
		next.from = epoch
	case was.Phase == canary.Tripped:
		next.settlement, next.ruling = nil, nil
		next.from = epoch
	default:
		return s
	}
	return &next
}

// renew forgets what was suspected.
func (s *sense) renew() {
	s.watch = analysis.NewWatch(s.policy, s.arms)
	if s.sticky {
		s.watch.ByUnit()
	}
	s.dark = analysis.NewWatch(errorsOnly(s.policy), s.arms)
}

// add takes one request.
func (s *sense) add(r analysis.Request) {
	if s.pairs != nil {
		s.pairs.Add(s.now, r)
	}
	candidate := r.Version == s.arms.Candidate
	if r.Pinned || !candidate && r.Version != s.arms.Stable {
		return
	}
	if s.settlement != nil {
		s.settlement.Add(r)
	}
	if r.Shadow {
		return
	}
	s.bins.Add(r)
	if !candidate || r.Epoch >= s.from {
		s.watch.Add(r)
	}
}

// report takes load reports while the logs are away. They hold no latencies; a
// request in them stands at the middle of their interval.
func (s *sense) report(loads []analysis.Load) {
	const most = 2000 // per report; more say nothing new about errors
	for _, l := range loads {
		r := analysis.Request{
			Route: s.arms.Route, Version: l.Version, Pod: l.Proxy, Proxy: l.Proxy,
			Start: l.At.Add(-l.Interval / 2), Attempt: 1, Issued: true,
		}
		total := l.Errored + l.Succeeded
		scale := max(1, (total+most-1)/most)
		for range l.Succeeded / scale {
			s.dark.Add(r)
		}
		r.Outcome = analysis.Failed
		for range l.Errored / scale {
			s.dark.Add(r)
		}
	}
}

// spoil drops what a gap made doubtful.
func (s *sense) spoil(g analysis.Gap) {
	first, last := analysis.IndexAt(g.From), analysis.IndexAt(g.To)
	if last <= s.spoiled && first >= s.spoiledFrom {
		return
	}
	s.bins.Spoil(g.From, g.To)
	if first <= s.spoiled {
		first = min(first, s.spoiledFrom)
	}
	s.spoiledFrom, s.spoiled = first, max(last, s.spoiled)
}

// blind says why nothing can be said now; empty when sight is clear. After a gap
// the first clean window that closed clears it.
func (s *sense) blind(gap string) string {
	if gap != "" {
		s.gap = gap
		return gap
	}
	if s.gap != "" && s.bins.Closed() <= s.spoiled {
		return s.gap + "; waiting for the first whole window"
	}
	s.gap = ""
	return ""
}

// close turns what is due into evidence, and says whether anything was.
func (s *sense) close(now time.Time) (changed bool) {
	s.now = now
	if s.pairs != nil {
		answers := s.pairs.Close(now)
		s.evidence, changed = s.evidence.Compare(s.policy, answers...), len(answers) > 0
	}
	windows := s.bins.Close(now)
	if len(windows) == 0 {
		return changed
	}
	s.evidence = s.evidence.Update(s.policy, analysis.Closed{Windows: windows, Shares: s.shares})
	return true
}

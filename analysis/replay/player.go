package replay

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

const (
	// beat is how often the trip is looked at, and look how often the evidence is, as
	// in a live rollout.
	beat = 50 * time.Millisecond
	look = 250 * time.Millisecond
	// silence is when every window has closed and every second of the trip's is past;
	// a longer one is cut short.
	silence = 2 * time.Minute
)

// player judges requests as they complete. Its time is theirs.
type player struct {
	policy config.PolicySpec
	arms   analysis.Arms

	bins     *analysis.Bins // nil before the first request
	evidence analysis.Evidence
	past     analysis.Past
	aged     time.Time
	looked   time.Time
	changed  bool // evidence, since the last look

	watch *analysis.Watch
	share share
	trips []trip

	began, now time.Time
	next       time.Time // beat
	seen       [2]int64  // requests of stable and of the candidate, up to the verdict
	told       [2]int64  // of seen, when the verdict came to stand
	last       analysis.Assessment
	shown      analysis.Assessment // of last, when the verdict came to stand
	decided    time.Time           // when the verdict came to stand; zero while it does not
	verdict    analysis.Verdict
	reason     string
	why        analysis.Why
}

func newPlayer(p config.PolicySpec, arms analysis.Arms) *player {
	return &player{
		policy: p, arms: arms,
		evidence: analysis.NewEvidence(p, arms).ByUnit(), watch: analysis.NewWatch(p, arms).ByUnit(),
		verdict: analysis.Undecided,
	}
}

// play takes one request of either arm, in order of completion.
func (p *player) play(r analysis.Request) {
	if p.bins == nil {
		p.begin(r)
	}
	p.advance(r.End())
	switch {
	case p.verdict == analysis.Harmful: // it would have been rolled back
		return
	case r.Pinned: // by a tester: it says nothing of the split
		return
	}
	p.count(r)
	p.share.add(r, p.arms)
	if p.evidence.Segments == nil {
		r.Segment = ""
	}
	p.past.See(p.arms.Stable, r)
	p.bins.Add(r)
	p.watch.Add(r)
	p.settlementAdd(r)
}

// count counts a request that says something of an arm.
func (p *player) count(r analysis.Request) {
	switch {
	case !r.Evident(), r.Outcome == analysis.ClientFault, r.Outcome == analysis.Abandoned:
	case r.Version == p.arms.Candidate:
		p.seen[1]++
	default:
		p.seen[0]++
	}
}

func (p *player) begin(r analysis.Request) {
	since := analysis.WindowKey{Index: analysis.IndexAt(r.Start)}.Start()
	p.bins = analysis.NewBins(since, p.past.Age(p.policy))
	p.began, p.now = r.Start, r.End()
	p.next = p.now.Truncate(beat).Add(beat)
}

// advance lets time pass. Of a long silence only its beginning and its end matter.
func (p *player) advance(to time.Time) {
	for quiet := p.now.Add(silence); !p.next.After(to) && p.verdict != analysis.Harmful; p.next = p.next.Add(beat) {
		if p.next.After(quiet) && to.Sub(p.next) > silence {
			p.next = to.Add(-silence).Truncate(beat)
		}
		p.tick(p.next)
	}
	if to.After(p.now) {
		p.now = to
	}
}

// tick does what a live rollout does at each beat.
func (p *player) tick(now time.Time) {
	p.past.Turn(now)
	p.lookTrip(now)
	p.close(now)
	if now.Sub(p.aged) >= time.Second {
		p.bins.SetAge(now, p.past.Age(p.policy))
		p.watch.Split(p.share.split(p.arms))
		p.aged = now
	}
	if p.changed && now.Sub(p.looked) >= look {
		p.judge(now)
	}
}

// close turns windows that are due into evidence. The shares that were declared
// are not known, so the split is not tested.
func (p *player) close(now time.Time) {
	windows := p.bins.Close(now)
	if len(windows) == 0 {
		return
	}
	p.evidence = p.evidence.Update(p.policy, analysis.Closed{Windows: windows})
	p.changed = true
}

// judge looks at the evidence. A candidate that was healthy once would have been
// promoted, and still be watched.
func (p *player) judge(now time.Time) {
	p.looked, p.changed = now, false
	p.last = analysis.Judge(p.policy, p.evidence, now)
	switch {
	case p.verdict == analysis.Harmful:
	case p.last.Verdict == analysis.Harmful, p.last.Verdict == analysis.Healthy && p.verdict != analysis.Healthy:
		p.decide(now, p.last.Verdict, p.last.Reason)
		p.why = p.last.Why
	}
}

func (p *player) decide(now time.Time, v analysis.Verdict, reason string) {
	p.verdict, p.reason, p.decided, p.told, p.shown = v, reason, now, p.seen, p.last
}

// finish closes the windows that are complete at the end of the recording: a later
// one would lack its slow requests.
func (p *player) finish() {
	if p.bins == nil || p.verdict == analysis.Harmful {
		return
	}
	p.close(p.now.Add(analysis.LogDelay))
	p.lookTrip(p.now)
	p.judge(p.now)
	if p.decided.IsZero() {
		p.told, p.shown = p.seen, p.last
	}
}

// share is the candidate's part of what both arms completed under the newest
// epoch. The trip needs it to know how many answers are still out.
type share struct {
	epoch             uint64
	stable, candidate int64
}

func (s *share) add(r analysis.Request, arms analysis.Arms) {
	switch {
	case !r.Evident() || r.Epoch < s.epoch:
		return
	case r.Epoch > s.epoch:
		*s = share{epoch: r.Epoch}
	}
	if r.Version == arms.Candidate {
		s.candidate++
	} else {
		s.stable++
	}
}

func (s *share) split(arms analysis.Arms) config.Split {
	weight := uint32(config.WholeSplit * s.candidate / max(1, s.stable+s.candidate))
	return config.Split{Epoch: s.epoch, Shares: []config.Share{
		{Version: arms.Stable, Weight: config.WholeSplit - weight}, {Version: arms.Candidate, Weight: weight},
	}}
}

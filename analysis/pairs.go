package analysis

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Pairs joins the answers to copied requests by request id: the one that users got from
// stable, the shadow's, and stable's second where that is asked for. It holds each until
// Compare.Within has passed since the first of them came, whatever they are: so no
// outcome chooses the order in which they are compared. It is bounded, and not saved.
type Pairs struct {
	metric  config.Metric
	arms    Arms
	copying map[uint64]bool // epochs whose requests are copied
	waiting map[string]*pair
	order   []*pair // as their first answers came
	most    uint64  // the largest hash of an id that is held
}

const (
	// mostWaiting bounds the requests that are held at once. Where there are more, half are
	// passed over by the hashes of their ids, so that a request and its copies are held or
	// passed over together, whatever comes first.
	mostWaiting = 50_000
	// mostCopying is how many epochs are remembered.
	mostCopying = 64
)

// pair is what came of one request.
type pair struct {
	id                  string
	came, start         time.Time
	live, shadow, again answer
}

// answer is what one attempt told.
type answer struct {
	there          bool
	status, digest string // digest only where it is compared
	outcome        Outcome
	sent           bool // a copy that is over its cap is not
}

// NewPairs joins the answers of arms for a policy's metric answers.
func NewPairs(m config.Metric, arms Arms) *Pairs {
	return &Pairs{metric: m, arms: arms, copying: map[uint64]bool{}, waiting: map[string]*pair{}, most: math.MaxUint64}
}

// Split takes a split that is in force: requests of others are passed over unless it
// copies them.
func (p *Pairs) Split(s config.Split) {
	if s.Mirror.Weight == 0 || s.Mirror.Version != p.arms.Candidate || p.metric.Twice() && s.Repeat.Weight == 0 {
		return
	}
	if p.copying[s.Epoch] = true; len(p.copying) > mostCopying {
		delete(p.copying, slices.Min(slices.Collect(maps.Keys(p.copying))))
	}
}

// Add takes an attempt as the log entry of its end comes. A request of a later attempt is answered
// by that one.
func (p *Pairs) Add(now time.Time, r Request) {
	slot := p.slot(r)
	if slot == nil || r.Running || r.ID == "" || r.Pinned || !p.copying[r.Epoch] {
		return
	}
	at := p.waiting[r.ID]
	if at == nil {
		if len(p.order) >= mostWaiting {
			p.thin()
		}
		if hashOf(r.ID) > p.most {
			return
		}
		at = &pair{id: r.ID, came: now, start: r.Start}
		p.waiting[r.ID], p.order = at, append(p.order, at)
	}
	to := slot(at)
	if to.there && !to.failed() {
		return
	}
	*to = answer{there: true, status: r.Status, outcome: r.Outcome, sent: !r.Shadow || r.Issued || r.Pod != ""}
	if p.metric.Compare.By == config.CompareDigest && r.Outcome == Succeeded {
		to.digest = r.Digest
	}
}

// thin passes over half of the requests, by their ids, from now on and of those held.
func (p *Pairs) thin() {
	p.most /= 2
	p.order = slices.DeleteFunc(p.order, func(at *pair) bool {
		gone := hashOf(at.id) > p.most
		if gone {
			delete(p.waiting, at.id)
		}
		return gone
	})
}

// slot is whose answer it is; nil for nobody's.
func (p *Pairs) slot(r Request) func(*pair) *answer {
	switch {
	case r.Version == p.arms.Stable && !r.Shadow:
		return func(a *pair) *answer { return &a.live }
	case r.Version == p.arms.Candidate && r.Shadow:
		return func(a *pair) *answer { return &a.shadow }
	case r.Version == p.arms.Stable && p.metric.Twice():
		return func(a *pair) *answer { return &a.again }
	}
	return nil
}

// Close gives the requests whose time to be answered has passed, in the order in which
// they started. Those that were not copied are none.
func (p *Pairs) Close(now time.Time) []Comparison {
	due := 0
	for due < len(p.order) && now.Sub(p.order[due].came) >= p.metric.Compare.Within.D() {
		due++
	}
	closed := p.order[:due]
	p.order = p.order[due:]
	slices.SortFunc(closed, func(a, b *pair) int { return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.id, b.id)) })
	var all []Comparison
	for _, at := range closed {
		delete(p.waiting, at.id)
		if at.shadow.there {
			all = append(all, p.compare(at))
		}
	}
	return all
}

func (p *Pairs) compare(at *pair) Comparison {
	c := Comparison{ID: at.id, Stable: at.live.said(), Shadow: at.shadow.said()}
	twice := p.metric.Twice()
	switch {
	case !at.shadow.sent, twice && at.again.there && !at.again.sent:
		c.Left = LeftUnsent
	case !at.live.there, twice && !at.again.there, at.shadow.outcome == Abandoned, at.again.there && at.again.outcome == Abandoned:
		c.Left = LeftUnmatched
	case at.live.failed():
		c.Left = LeftUnanswered
	case p.unlabelled(at.live, at.shadow), twice && p.unlabelled(at.live, at.again):
		c.Left = LeftUnlabelled
	default:
		c.Differs = at.live.differs(at.shadow)
		c.Twice, c.Noise = twice, twice && at.live.differs(at.again)
	}
	return c
}

// failed says whether users got no answer that another could be compared with.
func (a answer) failed() bool { return a.outcome != Succeeded && a.outcome != ClientFault }

// unlabelled says whether two answers of the same status would need a digest each to be
// told apart, and one has none.
func (p *Pairs) unlabelled(live, other answer) bool {
	return p.metric.Compare.By == config.CompareDigest && live.outcome == Succeeded && live.same(other) &&
		(live.digest == "" || other.digest == "")
}

// same says whether both ended alike.
func (a answer) same(o answer) bool { return a.status == o.status && a.outcome == o.outcome }

// differs says whether another answer is not the same.
func (a answer) differs(o answer) bool { return !a.same(o) || a.digest != o.digest }

// said is an answer in a few words.
func (a answer) said() string {
	switch {
	case a.status == "":
		return "no answer"
	case a.outcome == TimedOut:
		return a.status + ", cut off"
	case a.outcome == Succeeded && a.digest != "":
		return a.digest
	}
	return a.status
}

package analysis

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis/compare"
	"github.com/sluice-dev/sluice/config"
)

// Pairs joins the answers to copied requests by request id: the one that users got from
// stable, the shadow's, and stable's second where that is asked for. It holds each until
// Compare.Within has passed since the first of them came, whatever they are: so no
// outcome chooses the order in which they are compared. It is bounded, and not saved.
//
// Where bodies are compared, the answer that users got is nothing to it: two copies go
// to stable, or one where it is asked once, and log entries tell of those copies that
// have no answer.
type Pairs struct {
	metric  config.Metric
	arms    Arms
	copying map[uint64]bool // epochs whose requests are copied
	waiting map[string]*pair
	order   []*pair // as their first answers came
	most    uint64  // the largest hash of an id that is held
	bytes   int     // of the values that are held
}

const (
	// mostWaiting bounds the requests that are held at once. Where there are more, half are
	// passed over by the hashes of their ids, so that a request and its copies are held or
	// passed over together, whatever comes first.
	mostWaiting = 50_000
	// mostBytes bounds what of bodies is held at once, in the same way.
	mostBytes = 64 << 20
	// mostCopying is how many epochs are remembered.
	mostCopying = 64
)

// pair is what came of one request.
type pair struct {
	id                  string
	came, start         time.Time
	live, shadow, again answer

	copied bool // to the shadow, whatever became of it
	unsent bool // a copy was over its cap
}

// answer is what one attempt told.
type answer struct {
	there          bool
	status, digest string // digest only where it is compared
	outcome        Outcome

	// Where bodies are compared: what is, or why it is not.
	value      *compare.Value
	unreadable string
	long       bool
}

// NewPairs joins the answers of arms for a policy's metric answers.
func NewPairs(m config.Metric, arms Arms) *Pairs {
	return &Pairs{metric: m, arms: arms, copying: map[uint64]bool{}, waiting: map[string]*pair{}, most: math.MaxUint64}
}

// Split takes a split that is in force: requests of others are passed over unless it
// copies them.
func (p *Pairs) Split(s config.Split) {
	if s.Mirror.Weight == 0 || s.Mirror.Version != p.arms.Candidate || p.metric.Copies() > 0 && s.Repeat.Weight == 0 {
		return
	}
	if p.copying[s.Epoch] = true; len(p.copying) > mostCopying {
		delete(p.copying, slices.Min(slices.Collect(maps.Keys(p.copying))))
	}
}

// Reads is the comparator that bodies are to be read by; nil where none are.
func (p *Pairs) Reads() *config.Compare {
	if !p.bodies() {
		return nil
	}
	return p.metric.Compare
}

func (p *Pairs) bodies() bool { return p.metric.Compare.By.Bodies() }

// Add takes an attempt as the log entry of its end comes. A request of a later attempt is answered
// by that one.
func (p *Pairs) Add(now time.Time, r Request) {
	slot := p.slot(r)
	if slot == nil || r.Running || r.ID == "" || r.Pinned || !p.copying[r.Epoch] {
		return
	}
	at := p.at(now, r.ID, r.Start)
	if at == nil {
		return
	}
	at.copied = at.copied || r.Shadow && r.Version == p.arms.Candidate
	at.unsent = at.unsent || r.Shadow && !r.Issued && r.Pod == ""
	to := slot(at)
	answered := r.Outcome == Succeeded || r.Outcome == ClientFault
	if to.there && !to.failed() || p.bodies() && answered { // its body comes by itself
		return
	}
	*to = answer{there: true, status: r.Status, outcome: r.Outcome}
	if p.metric.Compare.By == config.CompareDigest && r.Outcome == Succeeded {
		to.digest = r.Digest
	}
}

// Copied takes what was read of the answer to a copy, where bodies are compared.
func (p *Pairs) Copied(now time.Time, g Gist) {
	slot := p.copySlot(g)
	if slot == nil || g.by != p.metric.Compare || g.id == "" || !p.copying[g.epoch] {
		return
	}
	at := p.at(now, g.id, now)
	if at == nil {
		return
	}
	at.copied = at.copied || g.version == p.arms.Candidate
	to := slot(at)
	p.bytes += g.answer.size() - to.size()
	*to = g.answer
}

// at is the request of an id. Nil: it is passed over.
func (p *Pairs) at(now time.Time, id string, start time.Time) *pair {
	if at := p.waiting[id]; at != nil {
		return at
	}
	if len(p.order) >= mostWaiting || p.bytes >= mostBytes {
		p.thin()
	}
	if hashOf(id) > p.most {
		return nil
	}
	at := &pair{id: id, came: now, start: start}
	p.waiting[id], p.order = at, append(p.order, at)
	return at
}

// thin passes over half of the requests, by their ids, from now on and of those held.
func (p *Pairs) thin() {
	p.most /= 2
	p.order = slices.DeleteFunc(p.order, func(at *pair) bool {
		gone := hashOf(at.id) > p.most
		if gone {
			p.forget(at)
		}
		return gone
	})
}

func (p *Pairs) forget(at *pair) {
	delete(p.waiting, at.id)
	p.bytes -= at.live.size() + at.shadow.size() + at.again.size()
}

func live(a *pair) *answer   { return &a.live }
func shadow(a *pair) *answer { return &a.shadow }
func again(a *pair) *answer  { return &a.again }

// slot is whose answer it is; nil for nobody's. Log entries do not tell stable's copies
// apart.
func (p *Pairs) slot(r Request) func(*pair) *answer {
	switch {
	case r.Version == p.arms.Candidate && r.Shadow:
		return shadow
	case r.Version == p.arms.Stable && r.Shadow == p.bodies():
		return live
	case r.Version == p.arms.Stable && r.Shadow && p.metric.Twice():
		return again
	}
	return nil
}

// copySlot is the same of an answer whose body was read.
func (p *Pairs) copySlot(g Gist) func(*pair) *answer {
	switch {
	case g.version == p.arms.Candidate:
		return shadow
	case g.version == p.arms.Stable && !g.second:
		return live
	case g.version == p.arms.Stable && p.metric.Twice():
		return again
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
		p.forget(at)
		if at.copied {
			all = append(all, p.compare(at))
		}
	}
	return all
}

func (p *Pairs) compare(at *pair) Comparison {
	c := Comparison{ID: at.id, Stable: at.live.said(), Shadow: at.shadow.said()}
	twice := p.metric.Twice()
	switch {
	case at.unsent:
		c.Left = LeftUnsent
	case !at.live.there, !at.shadow.there, twice && !at.again.there, at.shadow.outcome == Abandoned, at.again.there && at.again.outcome == Abandoned:
		c.Left = LeftUnmatched
	case at.live.failed():
		c.Left = LeftUnanswered
	case at.live.long, at.shadow.long, twice && at.again.long:
		c.Left = LeftLong
	case at.live.unreadable != "":
		c.Left, c.Stable = LeftUnreadable, at.live.unreadable
	case p.unlabelled(at.live, at.shadow), twice && p.unlabelled(at.live, at.again):
		c.Left = LeftUnlabelled
	default:
		c.Differs = p.differs(at.live, at.shadow)
		c.Twice, c.Noise = twice, twice && p.differs(at.live, at.again)
		if c.Differs && at.live.value != nil && at.shadow.value != nil {
			c.Stable, c.Shadow = compare.Shown(*at.live.value, *at.shadow.value)
		}
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

// differs says whether another answer is not the same as stable's.
func (p *Pairs) differs(live, other answer) bool {
	switch {
	case !live.same(other), live.digest != other.digest:
		return true
	case live.value == nil:
		return false
	}
	return other.value == nil || !live.value.Alike(*p.metric.Compare, *other.value)
}

// size is about how many bytes of a body it holds.
func (a answer) size() int {
	if a.value == nil {
		return 0
	}
	return a.value.Size()
}

// said is an answer in a few words.
func (a answer) said() string {
	switch {
	case a.status == "":
		return "no answer"
	case a.outcome == TimedOut:
		return a.status + ", cut off"
	case a.unreadable != "":
		return a.unreadable
	case a.long:
		return "a long answer"
	case a.value != nil:
		return a.value.String()
	case a.outcome == Succeeded && a.digest != "":
		return a.digest
	}
	return a.status
}

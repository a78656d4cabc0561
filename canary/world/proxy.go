package world

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// proxy is a fake Envoy: it honours the split it applied last and logs every
// attempt that ended.
type proxy struct {
	name  string
	index int
	rng   *rand.Rand

	split   config.Split
	pending []config.Split
	acking  []uint64 // epochs

	open  []analysis.Request // by slot, until they complete
	spare []int              // slots free for reuse

	buffer   []analysis.Request // logged, not yet flushed
	sending  []analysis.Request
	flushing bool
	named    uint64 // requests with an id of their own

	counted [2]counters // per arm, since the last load report
}

type counters struct{ issued, succeeded, errored, inProgress uint64 }

func newProxy(w *World, index int) *proxy {
	return &proxy{name: "proxy-" + strconv.Itoa(index), index: index, rng: stream(w.spec.Seed, 100+uint64(index))}
}

// apply puts the oldest pending split into force.
func (p *proxy) apply(w *World) {
	next := p.pending[0]
	p.pending = p.pending[1:]
	p.split = next
	w.load(next)
	if p.rng.Float64() >= w.spec.Network.LostAcks {
		p.acking = append(p.acking, next.Epoch)
		w.push(w.between(w.spec.Network.AckDelay), ack, p.index, 0)
	}
}

// acked is the epoch of the oldest ack under way: a stream keeps its order.
func (p *proxy) acked() uint64 {
	epoch := p.acking[0]
	p.acking = p.acking[1:]
	return epoch
}

// route sends one user's request to the version that the split draws, and a copy
// of it to the mirror.
func (p *proxy) route(w *World) {
	u := w.crowd.draw()
	point := u.point // growing shares only ever move a point to the candidate
	if u.name == "" {
		point = p.rng.Uint32N(config.WholeSplit)
	}
	for _, s := range p.split.Shares {
		if point < s.Weight {
			p.send(w, s.Version, u, live)
			break
		}
		point -= s.Weight
	}
	m := p.split.Mirror
	if m.Weight > 0 && p.rng.Uint32N(config.WholeSplit) < m.Weight {
		p.send(w, m.Version, u, mirrored)
	}
}

// copying says whether users wait for an answer.
type copying bool

const (
	live     copying = false
	mirrored copying = true
)

func (p *proxy) send(w *World, version string, u unit, shadow copying) {
	pod, end, outcome := w.arm(version).serve(w.now)
	r := analysis.Request{
		Route: w.spec.Arms.Route, Version: version, Epoch: p.split.Epoch, Pod: pod, Proxy: p.name,
		Start: w.Now(), Duration: time.Duration(end - w.now),
		Outcome: outcome, Attempt: 1, Issued: true, Shadow: bool(shadow), Unit: u.name,
	}
	if outcome == analysis.Succeeded {
		r.FirstByte, r.PerToken = r.Duration, r.Duration // answers come whole, as of one token
	}
	w.truth.sent(w, r)
	c := p.counters(w, version)
	c.issued++
	c.inProgress++
	if end-w.now > beatEvery {
		p.named++ // only those that are told of more than once need one
		r.ID = p.name + "/" + strconv.FormatUint(p.named, 10)
	}
	slot := p.keep(r)
	w.push(end-w.now, completion, p.index, slot)
	if end-w.now > beatEvery {
		w.push(beatEvery, beat, p.index, slot)
	}
}

// beatEvery is how often a proxy tells of an attempt of whose answer no byte has come.
const beatEvery = int64(time.Second)

// wait tells of one that waits, and goes on as long as its answer has not come.
func (p *proxy) wait(w *World, slot int) {
	r := p.open[slot]
	if left := r.End().UnixNano() - w.now; left > beatEvery {
		w.push(beatEvery, beat, p.index, slot)
	}
	r.Duration = w.Now().Sub(r.Start)
	r.Running, r.Outcome, r.FirstByte, r.PerToken = true, analysis.Succeeded, 0, 0
	p.log(w, r)
}

func (p *proxy) keep(r analysis.Request) int {
	if n := len(p.spare); n > 0 {
		slot := p.spare[n-1]
		p.spare = p.spare[:n-1]
		p.open[slot] = r
		return slot
	}
	p.open = append(p.open, r)
	return len(p.open) - 1
}

func (p *proxy) counters(w *World, version string) *counters {
	if version == w.spec.Arms.Candidate {
		return &p.counted[1]
	}
	return &p.counted[0]
}

// complete logs a request that ended; its log entry waits for the next flush.
func (p *proxy) complete(w *World, slot int) {
	r := p.open[slot]
	p.spare = append(p.spare, slot)
	c := p.counters(w, r.Version)
	c.inProgress--
	if r.Outcome.Error() {
		c.errored++
	} else {
		c.succeeded++
	}
	p.log(w, r)
}

// log leaves an entry in the buffer.
func (p *proxy) log(w *World, r analysis.Request) {
	if w.inGap() {
		return
	}
	p.buffer = append(p.buffer, r)
	if !p.flushing {
		p.flushing = true
		w.push(p.untilFlush(w)+w.between(w.spec.Network.LogDelay), flush, p.index, 0)
	}
}

// untilFlush is the time to the next beat of this proxy's log buffer.
func (p *proxy) untilFlush(w *World) int64 {
	period := int64(w.spec.Network.LogFlush)
	phase := int64(p.index) * period / int64(w.spec.Proxies)
	return period - (w.now+phase)%period
}

func (p *proxy) flush(w *World, d Driver) {
	p.flushing = false
	p.sending, p.buffer = p.buffer, p.sending[:0]
	d.Handle(w.Now(), &Logged{Entries: p.sending})
}

// report sends the load reports of every proxy and version.
func (w *World) report(d Driver) {
	for _, p := range w.proxies {
		for i, version := range []string{w.spec.Arms.Stable, w.spec.Arms.Candidate} {
			c := &p.counted[i]
			d.Handle(w.Now(), &Loaded{Load: analysis.Load{
				Route: w.spec.Arms.Route, Version: version, Proxy: p.name,
				At: w.Now(), Interval: w.spec.Network.LoadEvery,
				Issued: c.issued, Succeeded: c.succeeded, Errored: c.errored, InProgress: c.inProgress,
			}})
			*c = counters{inProgress: c.inProgress}
		}
	}
}

package analysis

import (
	"math"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// latency is the evidence on one kind of times against stable, with pods as the
// unit, because requests share their pod's queue and are not independent.
// research: statistics §2b.
type latency struct {
	Stable    recent `json:"stable"`    // of past windows
	Candidate recent `json:"candidate"` // likewise

	Edges []uint16  `json:"edges"`          // of this block, by quantile: the bucket of stable's quantile; zero until known
	Pods  []podLoad `json:"pods,omitempty"` // in this block, by arm and name
	Ranks []rank    `json:"ranks"`          // by quantile
}

// podLoad is what a pod served in this block, by quantile.
type podLoad struct {
	Pod    string      `json:"pod"`
	Side   side        `json:"side"`
	Counts []slowCount `json:"counts"`
}

// slowCount counts the requests of a pod and those above two edges, which are
// moved by tolerance and by margin for the candidate's pods. For harm the edge is
// stable's quantile, which few of its requests exceed; for safety it is one bucket
// below, which some exceed even if all took equally long.
type slowCount struct {
	N        int64 `json:"n"`
	Slow     int64 `json:"slow"`
	SlowSafe int64 `json:"safe"`
}

// rankSpec is a comparison of one quantile.
type rankSpec struct {
	q      config.Quantile
	harmUp uint16 // buckets that the candidate's edge is moved by, of the rollback test
	safeUp uint16 // of the promotion test
}

// ranksOf lists a policy's comparisons of a kind of times. Edges are moved by whole buckets:
// at least the tolerance, at most the margin, so that neither promises too much.
func ranksOf(m config.Metric) []rankSpec {
	if m.VersusStable == nil {
		return nil
	}
	var specs []rankSpec
	for _, q := range m.Quantiles {
		specs = append(specs, rankSpec{
			q:      q,
			harmUp: uint16(math.Ceil(bucketsOf(float64(m.VersusStable.RollbackIf)) - 1e-6)),
			safeUp: uint16(math.Floor(bucketsOf(m.VersusStable.PromoteIf.Ratio) + 1e-6)),
		})
	}
	return specs
}

// bucketsOf is how many buckets a ratio of latencies spans.
func bucketsOf(ratio float64) float64 {
	if ratio <= 1 {
		return 0
	}
	return ln(ratio) * 5 / ln(1.1)
}

// newLatency is nil where nothing is compared; so are the methods' answers.
func newLatency(specs []rankSpec) *latency {
	if len(specs) == 0 {
		return nil
	}
	l := &latency{Edges: make([]uint16, len(specs)), Ranks: make([]rank, len(specs))}
	for i := range l.Ranks {
		notBegun(l.Ranks[i].Harm[:])
	}
	return l
}

func (l *latency) clone() *latency {
	if l == nil {
		return nil
	}
	c := *l
	c.Stable, c.Candidate = slices.Clone(l.Stable), slices.Clone(l.Candidate)
	c.Edges, c.Ranks = slices.Clone(l.Edges), slices.Clone(l.Ranks)
	c.Pods = slices.Clone(l.Pods)
	counts := make([]slowCount, 0, len(l.Pods)*len(l.Ranks)) // one piece for all pods
	for i, p := range c.Pods {
		first := len(counts)
		counts = append(counts, p.Counts...)
		c.Pods[i].Counts = counts[first:len(counts):len(counts)]
	}
	return &c
}

// rememberLeast is how many of stable's requests beyond a quantile must be
// remembered before it is an edge.
const rememberLeast = 2

// look sets the edges that past windows allow, where this block has none yet.
func (l *latency) look(specs []rankSpec) {
	if l == nil {
		return
	}
	total := float64(Buckets(l.Stable).Count()) / fadeUnit
	for i, s := range specs {
		beyond := total * min(float64(s.q), 1-float64(s.q))
		if l.Edges[i] == 0 && beyond >= rememberLeast {
			l.Edges[i] = max(1, min(Buckets(l.Stable).QuantileIndex(float64(s.q)), LastBucket-1))
		}
	}
}

// add counts the times of a window of a pod that is warm.
func (l *latency) add(specs []rankSpec, pod string, times Buckets, of side) {
	counts := l.pod(pod, of, len(specs))
	n := times.Count()
	for i, s := range specs {
		edge := l.Edges[i]
		if edge == 0 {
			continue
		}
		r, c := &l.Ranks[i], slowCount{N: n}
		if of == ofStable {
			c.Slow, c.SlowSafe = times.Above(edge), times.Above(edge-1)
			r.Stable = r.Stable.plus(rate{N: n, Bad: c.Slow})
		} else {
			c.Slow, c.SlowSafe = above(times, edge, s.harmUp), above(times, edge-1, s.safeUp)
			r.Candidate = r.Candidate.plus(rate{N: n, Bad: c.Slow})
		}
		counts[i] = counts[i].plus(c)
	}
}

func (c slowCount) plus(o slowCount) slowCount {
	return slowCount{N: c.N + o.N, Slow: c.Slow + o.Slow, SlowSafe: c.SlowSafe + o.SlowSafe}
}

// above counts latencies beyond a moved edge. Time-outs lie beyond every edge.
func above(b Buckets, edge, up uint16) int64 {
	return b.Above(min(edge+up, LastBucket-1))
}

// remember adds times to what later edges are taken from.
func (l *latency) remember(times Buckets, of side) {
	if of == ofCandidate {
		l.Candidate.add(times)
	} else {
		l.Stable.add(times)
	}
}

// pod is a pod's counts in this block.
func (l *latency) pod(name string, of side, quantiles int) []slowCount {
	at, above := 0, len(l.Pods)
	for at < above {
		if middle := (at + above) / 2; l.Pods[middle].before(name, of) {
			at = middle + 1
		} else {
			above = middle
		}
	}
	if at == len(l.Pods) || l.Pods[at].Side != of || l.Pods[at].Pod != name {
		l.Pods = slices.Insert(l.Pods, at, podLoad{Pod: name, Side: of, Counts: make([]slowCount, quantiles)})
	}
	return l.Pods[at].Counts
}

// before says whether a pod comes before another of a name and an arm.
func (p *podLoad) before(name string, of side) bool {
	return p.Side < of || p.Side == of && p.Pod < name
}

// closeBlock turns the block's loads into evidence and forgets a little. The
// block's number is all the chance there is in it.
func (l *latency) closeBlock(block, windows int64) {
	if l == nil {
		return
	}
	for i := range l.Ranks {
		harm, safe := make([]load, len(l.Pods)), make([]load, len(l.Pods))
		for k, p := range l.Pods {
			c := p.Counts[i]
			harm[k] = load{pod: p.Pod, side: p.Side, n: c.N, slow: c.Slow}
			safe[k] = load{pod: p.Pod, side: p.Side, n: c.N, slow: c.SlowSafe}
		}
		r := &l.Ranks[i]
		if addBlock(&r.Harm, harm, 1, uint64(block)) && addBlock(&r.Safe, safe, -1, uint64(block)) {
			r.Blocks++
		}
		l.Edges[i] = 0
	}
	l.Pods = nil
	l.Stable.decay(windows)
	l.Candidate.decay(windows)
}

// start gives every comparison another start with a part of the evidence.
func (l *latency) start(part float64) {
	if l == nil {
		return
	}
	for i := range l.Ranks {
		begin(l.Ranks[i].Harm[:], part)
	}
}

package replay

import (
	"math"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// BlockCorrelation is how much what a pod does in one block tells of the next.
type BlockCorrelation struct {
	Length config.Duration `json:"length"`
	// Correlation of a pod's share of slow requests, less that of all pods, from one
	// block to the next; and how many pairs of blocks it is of.
	Correlation float64 `json:"correlation"`
	Pairs       int64   `json:"pairs"`
	// Independent: the correlation is at most 0.1, give or take what chance explains.
	Independent bool `json:"independent"`
}

// blockSeries follows blocks of one length.
type blockSeries struct {
	length time.Duration
	index  int64 // of the present block
	pods   map[string]*podSeries

	pairs             int64
	product, now, was float64 // sums over pairs
}

// podSeries is one pod's present block, and the one before.
type podSeries struct {
	n, slow  int64
	mean     float64 // of its deviations up to now: how this pod differs for good
	blocks   int64
	last     float64
	lastSeen int64 // index of last
}

// leastInBlock is how many requests a pod's share of a block needs.
const leastInBlock = 10

// add counts a request, and 1 if it was slow.
func (b *blockSeries) add(r analysis.Request, slow int64) {
	if index := r.Start.UnixNano() / int64(b.length); index > b.index {
		b.close()
		b.index = index
	}
	p := b.pods[r.Pod]
	if p == nil {
		if len(b.pods) >= remembered {
			return
		}
		p = &podSeries{lastSeen: -1}
		b.pods[r.Pod] = p
	}
	p.n++
	p.slow += slow
}

// close ends a block. What all pods do alike is taken out, and how each differs for
// good: what is left is its queue.
func (b *blockSeries) close() {
	var n, slow float64
	for _, p := range b.pods {
		n, slow = n+float64(p.n), slow+float64(p.slow)
	}
	for _, p := range b.pods {
		if p.n >= leastInBlock {
			b.pair(p, float64(p.slow)/float64(p.n)-slow/n)
		}
		p.n, p.slow = 0, 0
	}
}

func (b *blockSeries) pair(p *podSeries, deviation float64) {
	const known = 5 // blocks, before a pod's own mean says anything
	x := deviation - p.mean
	if p.blocks > known && p.lastSeen == b.index-1 {
		b.pairs++
		b.product += x * p.last
		b.now += x * x
		b.was += p.last * p.last
	}
	p.blocks++
	p.mean += (deviation - p.mean) / float64(p.blocks)
	p.last, p.lastSeen = x, b.index
}

func (b *blockSeries) correlation() BlockCorrelation {
	const fewPairs = 50
	c := BlockCorrelation{Length: config.Duration(b.length), Pairs: b.pairs}
	if b.now > 0 && b.was > 0 {
		c.Correlation = math.Round(1e4*b.product/math.Sqrt(b.now*b.was)) / 1e4
	}
	c.Independent = b.pairs >= fewPairs && c.Correlation <= 0.1+1/math.Sqrt(float64(b.pairs))
	return c
}

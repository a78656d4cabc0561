package analysis

import (
	"math"
	"slices"
	"time"
)

// LastBucket is the index of the last bucket. It holds what is slower than any
// limit: time-outs, and answers after more than 44 days.
const LastBucket = 1399

// shortest is the upper edge of bucket 0.
const shortest = 10 * time.Microsecond

// Buckets is a sparse latency histogram on a fixed logarithmic grid. Its counts
// are exact and merge by addition; binning costs a test at a bucket's edge no
// validity. Sorted by index.
//
// Neighbouring edges differ by 1.1^(1/5), about 1.9 %, so that a tolerance of
// 10 % is exactly five buckets.
type Buckets []Bucket

// Bucket counts latencies in (Edge(Index-1), Edge(Index)].
type Bucket struct {
	Index uint16 `json:"i"`
	Count uint32 `json:"n"`
}

// Edge is the upper edge of bucket i, which belongs to it: 10 µs × 1.1^(i/5). The
// last bucket has no upper edge; its Edge is the longest Duration.
//
// It is the same on every architecture: products of float64 alone, no sums that
// a compiler might fuse.
func Edge(i uint16) time.Duration {
	if i >= LastBucket {
		return math.MaxInt64
	}
	fifths := [5]float64{1, 1.0192448687629757, 1.0388601024968684, 1.0588528303105792, 1.0792303172201168} // 1.1^(k/5)
	edge := float64(shortest) * fifths[i%5]
	for factor, n := 1.1, i/5; n > 0; n >>= 1 {
		if n&1 == 1 {
			edge *= factor
		}
		factor *= factor
	}
	return time.Duration(edge)
}

// Index is the bucket that latency falls into.
func Index(latency time.Duration) uint16 {
	if latency <= shortest {
		return 0
	}
	// A guess from the logarithm, made exact by the edges themselves.
	guess := math.Ceil(math.Log(float64(latency)/float64(shortest)) * (5 / 0.09531017980432487)) // ln 1.1
	i := uint16(min(guess, LastBucket))
	for latency > Edge(i) {
		i++
	}
	for latency <= Edge(i-1) {
		i--
	}
	return i
}

// Add counts one latency.
func (b *Buckets) Add(latency time.Duration) { b.AddIndex(Index(latency)) }

// AddIndex counts one latency in bucket i.
func (b *Buckets) AddIndex(i uint16) {
	b.add(Bucket{Index: i, Count: 1})
}

// Merge adds the counts of o. It keeps no reference to o.
func (b *Buckets) Merge(o Buckets) {
	for _, bucket := range o {
		b.add(bucket)
	}
}

func (b *Buckets) add(bucket Bucket) {
	at, found := b.find(bucket.Index)
	if found {
		(*b)[at].Count += bucket.Count
		return
	}
	*b = slices.Insert(*b, at, bucket)
}

// Count is how many latencies were counted.
func (b Buckets) Count() int64 { return b.from(0) }

// Above counts the latencies longer than Edge(i).
func (b Buckets) Above(i uint16) int64 {
	at, found := b.find(i)
	if found {
		at++
	}
	return b.from(at)
}

// QuantileIndex is the first bucket with at least the fraction q of all
// latencies at or below its edge; q is in [0, 1]. Empty Buckets give 0.
func (b Buckets) QuantileIndex(q float64) uint16 {
	need := max(1, int64(math.Ceil(q*float64(b.Count()))))
	for _, bucket := range b {
		need -= int64(bucket.Count)
		if need <= 0 {
			return bucket.Index
		}
	}
	return 0
}

// Quantile is the edge of QuantileIndex: at most 1.9 % above the sample's own
// quantile. Empty Buckets give 0.
func (b Buckets) Quantile(q float64) time.Duration {
	if len(b) == 0 {
		return 0
	}
	return Edge(b.QuantileIndex(q))
}

// find says where bucket i is, or would be.
func (b Buckets) find(i uint16) (at int, found bool) {
	below, above := 0, len(b)
	for below < above {
		if middle := (below + above) / 2; b[middle].Index < i {
			below = middle + 1
		} else {
			above = middle
		}
	}
	return below, below < len(b) && b[below].Index == i
}

func (b Buckets) from(at int) (n int64) {
	for _, bucket := range b[at:] {
		n += int64(bucket.Count)
	}
	return n
}

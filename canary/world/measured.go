package world

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Measured is a distribution of service times as it was measured. Each is drawn anew
// from the buckets that were counted, evenly within one on a logarithmic scale.
type Measured struct {
	buckets analysis.Buckets
	upTo    []float64 // share of all, up to each bucket
}

// NewMeasured takes what was measured; nil where that is nothing.
func NewMeasured(b analysis.Buckets) *Measured {
	if b.Count() == 0 {
		return nil
	}
	m := &Measured{buckets: b}
	sum, all := int64(0), float64(b.Count())
	for _, bucket := range b {
		sum += int64(bucket.Count)
		m.upTo = append(m.upTo, float64(sum)/all)
	}
	return m
}

// edges are those of the i-th bucket that has any, in nanoseconds.
func (m *Measured) edges(i int) (low, high float64) {
	index := min(m.buckets[i].Index, analysis.LastBucket-1) // what is slower has no upper edge
	high = float64(analysis.Edge(index))
	if index == 0 {
		return high / 2, high
	}
	return float64(analysis.Edge(index - 1)), high
}

func (m *Measured) draw(r *rand.Rand) int64 {
	i := min(sort.SearchFloat64s(m.upTo, r.Float64()), len(m.upTo)-1)
	low, high := m.edges(i)
	return int64(low * math.Pow(high/low, r.Float64()))
}

// mean in seconds.
func (m *Measured) mean() (sum float64) {
	before := 0.0
	for i, upTo := range m.upTo {
		low, high := m.edges(i)
		sum += (upTo - before) * math.Sqrt(low*high)
		before = upTo
	}
	return sum / float64(time.Second)
}

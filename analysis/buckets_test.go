package analysis_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/analysis"
)

func TestEdges(t *testing.T) {
	assert.Equal(t, 10*time.Microsecond, analysis.Edge(0))
	assert.Equal(t, 11*time.Microsecond, analysis.Edge(5), "five buckets are 10 %")
	assert.Equal(t, time.Duration(10_000*math.Pow(1.1, 10)), analysis.Edge(50))
	assert.InDelta(t, float64(44*24*time.Hour), float64(analysis.Edge(analysis.LastBucket-1)), float64(24*time.Hour))
	assert.Equal(t, time.Duration(math.MaxInt64), analysis.Edge(analysis.LastBucket))
	for i := range uint16(analysis.LastBucket) {
		assert.Less(t, analysis.Edge(i), analysis.Edge(i+1))
	}
}

func TestEveryEdgeBelongsToItsBucketAndTheNextNanosecondToTheNext(t *testing.T) {
	for i := range uint16(analysis.LastBucket) {
		edge := analysis.Edge(i)
		assert.Equal(t, i, analysis.Index(edge))
		assert.Equal(t, i+1, analysis.Index(edge+1))
	}
	assert.Equal(t, uint16(0), analysis.Index(-time.Second))
	assert.Equal(t, uint16(analysis.LastBucket), analysis.Index(math.MaxInt64))
}

func TestBucketsAreSortedHoweverTheyAreFilled(t *testing.T) {
	var b analysis.Buckets
	for _, d := range []time.Duration{time.Second, time.Millisecond, time.Minute, time.Millisecond} {
		b.Add(d)
	}
	b.AddIndex(analysis.LastBucket)
	assert.True(t, slices.IsSortedFunc(b, func(a, b analysis.Bucket) int { return int(a.Index) - int(b.Index) }))
	assert.Len(t, b, 4)
	assert.Equal(t, int64(5), b.Count())
}

func TestBucketsCountWhatIsAboveAnEdge(t *testing.T) {
	var b analysis.Buckets
	for _, d := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond, time.Second} {
		b.Add(d)
	}
	b.AddIndex(analysis.LastBucket)
	for _, tt := range []struct {
		edge time.Duration
		want int64
	}{
		{0, 5},
		{time.Millisecond, 4},
		{1500 * time.Microsecond, 4},
		{2 * time.Millisecond, 2},
		{time.Second, 1},
		{time.Hour, 1},
	} {
		assert.Equal(t, tt.want, b.Above(analysis.Index(tt.edge)), "above %v", tt.edge)
	}
}

func TestQuantilesAreWithinABucketOfTheSamplesOwn(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var b analysis.Buckets
	var sample []time.Duration
	for range 5000 {
		d := time.Duration(40 * float64(time.Millisecond) * math.Exp(.5*random.NormFloat64()))
		b.Add(d)
		sample = append(sample, d)
	}
	slices.Sort(sample)
	for _, q := range []float64{0, .5, .95, .999, 1} {
		own := sample[max(1, int(math.Ceil(q*5000)))-1]
		assert.GreaterOrEqual(t, b.Quantile(q), own, "q %v", q)
		assert.Less(t, float64(b.Quantile(q)), 1.0193*float64(own), "q %v", q)
	}
	assert.Equal(t, time.Duration(0), analysis.Buckets(nil).Quantile(.5))
}

func TestMergingBucketsEqualsFillingOne(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var whole, left, right analysis.Buckets
	for range 1000 {
		d := time.Duration(random.ExpFloat64() * float64(20*time.Millisecond))
		whole.Add(d)
		if random.IntN(3) == 0 {
			left.Add(d)
		} else {
			right.Add(d)
		}
	}
	before := slices.Clone(right)
	left.Merge(right)
	assert.Equal(t, whole, left)
	assert.Equal(t, before, right)
}

func BenchmarkIndex(b *testing.B) {
	d := 37 * time.Millisecond
	for b.Loop() {
		analysis.Index(d)
	}
}

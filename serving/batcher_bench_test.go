package serving_test

import (
	"testing"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// BenchmarkForesee is what a refusal before the body costs, behind a long queue.
func BenchmarkForesee(b *testing.B) {
	batcher := crowded(b)
	b.ReportAllocs()
	for b.Loop() {
		if batcher.Foresee(at(0), serving.Request{Deadline: at(256 * ms)}) == nil {
			b.Fatal("not refused")
		}
	}
}

// BenchmarkRequest is what deciding on a request costs: in, into a batch, out.
func BenchmarkRequest(b *testing.B) {
	batcher := crowded(b)
	id, now := uint64(1000), at(0)
	b.ReportAllocs()
	for b.Loop() {
		id++
		if err := batcher.Admit(now, serving.Request{ID: id, Items: 1}); err != nil {
			b.Fatal(err)
		}
		d := batcher.Next(now) // the first of the others; this one is the last
		batcher.Done(now, d.Batch.ID, ran(time.Millisecond))
	}
}

// crowded has 256 requests waiting for one device that takes one at a time.
func crowded(b *testing.B) *serving.Batcher {
	b.Helper()
	batcher := device(b, serving.Config{MaxBatch: 1, Capacity: 1024}, 0, ms)
	for id := range uint64(256) {
		if err := batcher.Admit(at(0), due(id+1, 256*ms)); err != nil {
			b.Fatal(err)
		}
	}
	return batcher
}

package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

// epoch is when every story begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const ms = time.Millisecond

func at(d time.Duration) time.Time { return epoch.Add(d) }

// device is a batcher whose device is known to take fixed + items·perItem.
func device(t testing.TB, c serving.Config, fixed, perItem time.Duration) *serving.Batcher {
	t.Helper()
	b, err := serving.New(c)
	require.NoError(t, err)
	for items := 1; items <= c.MaxBatch; items++ {
		b.Learn(epoch, "", items, ran(fixed+time.Duration(items)*perItem))
	}
	for range 500 { // the first guesses were wrong; let their error fade
		b.Learn(epoch, "", 1, ran(fixed+perItem))
		b.Learn(epoch, "", c.MaxBatch, ran(fixed+time.Duration(c.MaxBatch)*perItem))
	}
	return b
}

// ran is a batch that took the device so long, and the host no time.
func ran(device time.Duration) serving.Spent { return serving.Spent{Device: device} }

func ids(b serving.Batch) []uint64 {
	var out []uint64
	for _, r := range b.Requests {
		out = append(out, r.ID)
	}
	return out
}

func one(id uint64) serving.Request { return serving.Request{ID: id, Items: 1} }

func due(id uint64, deadline time.Duration) serving.Request {
	return serving.Request{ID: id, Items: 1, Deadline: at(deadline)}
}

func TestBatcherForming(t *testing.T) {
	t.Run("a free device starts at once", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 2*ms, ms)
		require.NoError(t, b.Admit(at(0), one(1)))
		assert.Equal(t, []uint64{1}, ids(b.Next(at(0)).Batch))
	})
	t.Run("what comes while the device is busy runs together when it is free", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 20*ms, ms)
		require.NoError(t, b.Admit(at(0), one(1)))
		b.Next(at(0))
		for id := uint64(2); id <= 7; id++ {
			require.NoError(t, b.Admit(at(ms), one(id)))
		}
		d := b.Next(at(ms))
		assert.Empty(t, d.Batch.Requests)
		assert.Equal(t, serving.Forever, d.Wait)
		b.Done(at(21*ms), 1, ran(21*ms))
		assert.Equal(t, []uint64{2, 3, 4, 5}, ids(b.Next(at(21*ms)).Batch))
		assert.Equal(t, 2, b.Waiting())
	})
	t.Run("the earliest deadline goes first, and none goes by patience", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 2, Capacity: 8, Patience: 100 * ms}, 20*ms, 0)
		require.NoError(t, b.Admit(at(0), one(1)))
		b.Next(at(0))
		require.NoError(t, b.Admit(at(0), one(2)))
		require.NoError(t, b.Admit(at(0), due(3, 200*ms)))
		require.NoError(t, b.Admit(at(0), due(4, 90*ms)))
		b.Done(at(20*ms), 1, ran(20*ms))
		assert.Equal(t, []uint64{4, 2}, ids(b.Next(at(20*ms)).Batch))
	})
	t.Run("requests of another shape wait for a batch of their own", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 20*ms, 0)
		for id, key := range []string{"a", "b", "a"} {
			require.NoError(t, b.Admit(at(0), serving.Request{ID: uint64(id), Items: 1, Key: key}))
		}
		assert.Equal(t, []uint64{0, 2}, ids(b.Next(at(0)).Batch))
		b.Done(at(20*ms), 1, ran(20*ms))
		assert.Equal(t, []uint64{1}, ids(b.Next(at(20*ms)).Batch))
	})
	t.Run("items are counted, not requests", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 20*ms, 0)
		for id, items := range []int{2, 1, 2} {
			require.NoError(t, b.Admit(at(0), serving.Request{ID: uint64(id), Items: items}))
		}
		d := b.Next(at(0))
		assert.Equal(t, []uint64{0, 1}, ids(d.Batch))
		assert.Equal(t, 3, d.Batch.Items)
	})
	t.Run("where batching does not pay, requests run one by one", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 0, 6*ms)
		require.NoError(t, b.Admit(at(0), one(1)))
		require.NoError(t, b.Admit(at(0), one(2)))
		assert.Equal(t, []uint64{1}, ids(b.Next(at(0)).Batch))
	})
	t.Run("a batch shrinks so that all of it is in time", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 10*ms, 5*ms)
		require.NoError(t, b.Admit(at(0), due(1, 21*ms)))
		require.NoError(t, b.Admit(at(0), one(2)))
		require.NoError(t, b.Admit(at(0), one(3)))
		assert.Equal(t, []uint64{1, 2}, ids(b.Next(at(0)).Batch))
	})
	t.Run("under overload the most urgent request is lost rather than the rate", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 100}, 10*ms, ms)
		require.NoError(t, b.Admit(at(0), due(1, 11500*time.Microsecond)))
		for id := uint64(2); id <= 20; id++ {
			require.NoError(t, b.Admit(at(0), one(id)))
		}
		d := b.Next(at(0))
		assert.Equal(t, []serving.Dropped{{ID: 1, Reason: serving.Expired}}, d.Dropped)
		assert.Equal(t, []uint64{2, 3, 4, 5}, ids(d.Batch))
	})
}

func TestBatcherDelay(t *testing.T) {
	waiting := func(t *testing.T) *serving.Batcher {
		return device(t, serving.Config{MaxBatch: 2, Capacity: 8, Delay: 5 * ms}, 20*ms, 0)
	}
	t.Run("a free device waits for a fuller batch only as long as was configured", func(t *testing.T) {
		b := waiting(t)
		require.NoError(t, b.Admit(at(0), one(1)))
		d := b.Next(at(ms))
		assert.Empty(t, d.Batch.Requests)
		assert.Equal(t, 4*ms, d.Wait)
		assert.Equal(t, []uint64{1}, ids(b.Next(at(5*ms)).Batch))
	})
	t.Run("a full batch does not wait", func(t *testing.T) {
		b := waiting(t)
		require.NoError(t, b.Admit(at(0), one(1)))
		require.NoError(t, b.Admit(at(0), one(2)))
		assert.Equal(t, []uint64{1, 2}, ids(b.Next(at(0)).Batch))
	})
	t.Run("a deadline ends the wait", func(t *testing.T) {
		b := waiting(t)
		require.NoError(t, b.Admit(at(0), due(1, 22*ms)))
		d := b.Next(at(0))
		assert.InDelta(t, 2*ms, d.Wait, float64(100*time.Microsecond))
		assert.Equal(t, []uint64{1}, ids(b.Next(at(d.Wait)).Batch))
	})
}

func TestBatcherRefusing(t *testing.T) {
	refusal := func(t *testing.T, err error) *serving.Refusal {
		t.Helper()
		var r *serving.Refusal
		require.ErrorAs(t, err, &r)
		return r
	}
	t.Run("a full queue refuses, and says when to come again", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 1, Capacity: 2}, 0, 10*ms)
		require.NoError(t, b.Admit(at(0), one(1)))
		require.NoError(t, b.Admit(at(0), one(2)))
		r := refusal(t, b.Admit(at(0), one(3)))
		assert.Equal(t, serving.Full, r.Reason)
		assert.InDelta(t, 20*ms, r.RetryAfter, float64(ms))
		assert.EqualError(t, r, "queue is full: 2 items wait, 2 may")
	})
	t.Run("a deadline behind the queue is refused on arrival", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 1, Capacity: 8}, 0, 10*ms)
		require.NoError(t, b.Admit(at(0), one(1)))
		b.Next(at(0))
		require.NoError(t, b.Admit(at(0), due(2, 25*ms)))
		r := refusal(t, b.Admit(at(0), due(3, 28*ms)))
		assert.Equal(t, serving.Late, r.Reason)
		assert.EqualError(t, r, "deadline cannot be met: the answer is 30ms away, the deadline 28ms")
	})
	t.Run("a more urgent request is judged by what is ahead of it only", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 1, Capacity: 8}, 0, 10*ms)
		for id := uint64(1); id <= 5; id++ {
			require.NoError(t, b.Admit(at(0), due(id, 80*ms)))
		}
		assert.NoError(t, b.Admit(at(0), due(6, 20*ms)))
	})
	t.Run("a request that waited too long is dropped as soon as it cannot make it", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 1, Capacity: 8}, 0, 10*ms)
		require.NoError(t, b.Admit(at(0), one(1)))
		b.Next(at(0))
		require.NoError(t, b.Admit(at(0), due(2, 25*ms)))
		d := b.Next(at(0))
		assert.InDelta(t, 15*ms, d.Wait, float64(ms), "asks again when its last chance is over")
		d = b.Next(at(d.Wait)) // the running batch is late
		assert.Equal(t, []serving.Dropped{{ID: 2, Reason: serving.Expired}}, d.Dropped)
	})
	t.Run("what no batch can hold is refused for good", func(t *testing.T) {
		b := device(t, serving.Config{MaxBatch: 4, Capacity: 8}, 0, ms)
		for _, items := range []int{0, 5} {
			err := b.Admit(at(0), serving.Request{ID: 1, Items: items})
			var r *serving.Refusal
			require.ErrorContains(t, err, "between 1 and 4 items")
			assert.NotErrorAs(t, err, &r)
		}
	})
	t.Run("a mistaken cost model is tried again after a second of refusals", func(t *testing.T) {
		b, err := serving.New(serving.Config{MaxBatch: 1, Capacity: 8})
		require.NoError(t, err)
		b.Learn(at(0), "", 1, ran(10*time.Second))
		refusal(t, b.Admit(at(ms), due(1, 100*ms)))
		require.NoError(t, b.Admit(at(time.Second), due(2, 1100*ms)))
		assert.Equal(t, []uint64{2}, ids(b.Next(at(time.Second)).Batch))
		refusal(t, b.Admit(at(time.Second), due(3, 1100*ms)))
	})
}

func TestBatcherLimits(t *testing.T) {
	_, err := serving.New(serving.Config{MaxBatch: 0, Capacity: -1, Delay: -1})
	require.Error(t, err)
	assert.ErrorContains(t, err, "max batch: less than 1, found 0")
	assert.ErrorContains(t, err, "queue capacity: less than the max batch of 0, found -1")
	assert.ErrorContains(t, err, "delay and patience: negative")
}

func TestBatcherCancelling(t *testing.T) {
	b := device(t, serving.Config{MaxBatch: 1, Capacity: 8}, 0, 10*ms)
	require.NoError(t, b.Admit(at(0), one(1)))
	require.NoError(t, b.Admit(at(0), one(2)))
	b.Next(at(0))
	assert.False(t, b.Cancel(1), "it runs already")
	assert.True(t, b.Cancel(2))
	assert.False(t, b.Cancel(2), "it left already")
	b.Failed(at(ms), 1)
	assert.Empty(t, b.Next(at(ms)).Batch.Requests)
}

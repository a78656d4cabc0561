package serving

import (
	"fmt"
	"slices"
	"time"
)

// flight is a batch that was started and has not ended.
type flight struct {
	id       uint64
	key      string
	rows     int
	prepared time.Time // when the host is through with it, as expected
	computes time.Time // from when on, as expected; zero while it waits for a device
	requests []*waiting
}

// staged says whether the flight waits for a device.
func (f flight) staged() bool { return f.computes.IsZero() }

// launch starts a batch.
func (b *Batcher) launch(now time.Time, batch Batch, requests []*waiting) {
	f := flight{
		id: batch.ID, key: batch.Requests[0].Key, rows: batch.Rows, requests: requests,
		prepared: now.Add(b.costs.before.Predict(batch.Rows)),
	}
	if len(b.flights) < b.config.Devices {
		f.computes = f.prepared
	}
	b.flights = append(b.flights, f)
	b.expiry = time.Time{}
}

// land ends a flight and gives its device to the one that waited longest.
func (b *Batcher) land(now time.Time, id uint64) flight {
	i := slices.IndexFunc(b.flights, func(f flight) bool { return f.id == id })
	if i < 0 {
		panic(fmt.Sprintf("serving: batch %d ended, which is not in flight", id))
	}
	f := b.flights[i]
	b.flights = slices.Delete(b.flights, i, i+1)
	for k := range b.flights[:min(b.config.Devices, len(b.flights))] {
		if b.flights[k].staged() {
			b.flights[k].computes = later(now, b.flights[k].prepared)
		}
	}
	b.expiry = time.Time{}
	return f
}

// freeAt is when a device is expected to be free for a batch that is started
// now: the devices take the batches in flight in order.
func (b *Batcher) freeAt(now time.Time) time.Time {
	if len(b.flights) < b.config.Devices {
		return now
	}
	var room [4]time.Time
	ends := room[:0]
	for _, f := range b.flights {
		start := f.computes
		if f.staged() { // the device that is free first takes it
			first := slices.IndexFunc(ends, func(t time.Time) bool { return t.Equal(slices.MinFunc(ends, time.Time.Compare)) })
			start = later(ends[first], f.prepared)
			ends = slices.Delete(ends, first, first+1)
		}
		ends = append(ends, later(now, start.Add(b.costs.of(f.key).Predict(f.rows))))
	}
	return slices.MinFunc(ends, time.Time.Compare)
}

// starts is when a batch that is formed now computes: prepared, on a free device.
func (b *Batcher) starts(now time.Time, rows int) time.Time {
	return later(b.freeAt(now), now.Add(b.costs.before.Predict(rows)))
}

// lasts is how long a batch takes from its device's start to its answers, with
// what is kept free besides.
func (b *Batcher) lasts(key string, items int) time.Duration {
	rows := b.rows(items)
	return b.costs.of(key).Bound(rows) + b.costs.after.Predict(rows) + b.config.Margin
}

// rows is what the device runs for so many items.
func (b *Batcher) rows(items int) int {
	for _, size := range b.config.Sizes {
		if size >= items {
			return size
		}
	}
	return items
}

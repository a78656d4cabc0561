package serving

import (
	"slices"
	"time"
)

// expire takes requests out that cannot be answered by their deadline any more,
// and notes when the next one will be such.
func (b *Batcher) expire(now time.Time) []Dropped {
	if !b.expiry.IsZero() && !now.After(b.expiry) {
		return nil
	}
	b.expiry = time.Time{}
	dropped := b.expireStaged(now)
	free := b.freeAt(now)
	switch call, due := b.nobodysLastCall(free); {
	case !due:
		return dropped
	case call.After(now):
		b.expires(call)
		return dropped
	}
	for i := 0; i < len(b.queue); {
		w := b.queue[i]
		call := b.lastCall(w, now, free)
		switch {
		case w.Deadline.IsZero():
		case i == 0 && b.probing(now) && w.Deadline.After(now): // tried, not believed
		case call.Before(now):
			dropped = append(dropped, b.drop(w))
			b.remove(i)
			continue
		default:
			b.expires(call)
		}
		i++
	}
	return dropped
}

// nobodysLastCall is before every request's, and quick to find: as if the first
// to be due came with a full batch. It is zero where that says nothing; due is
// false where nobody has a deadline.
func (b *Batcher) nobodysLastCall(free time.Time) (call time.Time, due bool) {
	var first time.Time
	for _, w := range b.queue {
		if !w.Deadline.IsZero() && (first.IsZero() || w.Deadline.Before(first)) {
			first = w.Deadline
		}
	}
	start := first.Add(-b.lasts("", b.config.MaxBatch))
	switch {
	case first.IsZero():
		return time.Time{}, false
	case free.After(start), len(b.costs.byKey) > 0: // a key may be slower than all
		return time.Time{}, true
	}
	return start.Add(-b.costs.before.Predict(b.config.MaxBatch)), true
}

func (b *Batcher) expires(call time.Time) {
	if b.expiry.IsZero() || call.Before(b.expiry) {
		b.expiry = call
	}
}

// drop ends a request that was promised an answer: a promise broken as badly as
// by an answer that is a batch too late.
func (b *Batcher) drop(w *waiting) Dropped {
	batch := b.costs.device.Predict(b.rows(w.Items))
	b.guard.observe(w.Deadline.Sub(w.promised)+batch, batch)
	return Dropped{w.ID, Expired}
}

// expireStaged is expire for batches that wait for a device, which takes longer
// than was expected.
func (b *Batcher) expireStaged(now time.Time) []Dropped {
	var dropped []Dropped
	for k := range b.flights {
		f := &b.flights[k]
		if !f.staged() {
			continue
		}
		f.requests = slices.DeleteFunc(f.requests, func(w *waiting) bool {
			call := w.Deadline.Add(-b.lasts(f.key, f.rows))
			gone := !w.Deadline.IsZero() && call.Before(now)
			if gone {
				dropped = append(dropped, b.drop(w))
			} else if !w.Deadline.IsZero() {
				b.expires(call)
			}
			return gone
		})
	}
	return dropped
}

// lastCall is the last instant at which w still makes it: it must be formed,
// computed where a device is free, and answered by its deadline. It is zero
// where the device is free too late.
func (b *Batcher) lastCall(w *waiting, now, free time.Time) time.Time {
	start := w.Deadline.Add(-b.lasts(w.Key, w.Items))
	if free.After(now) && free.After(start) {
		return time.Time{}
	}
	return start.Add(-b.costs.before.Predict(b.rows(w.Items)))
}

package serving

import (
	"fmt"
	"sort"
	"time"
)

// stale is how long after its last lesson the cost model is mistrusted: then a
// free device takes a request whose deadline looks out of reach, for otherwise
// a wrong model would refuse everything and never learn better.
const stale = time.Second

// Admit queues a request, or refuses it: a *Refusal where the queue is full or
// the deadline out of reach, another error where the request can never run.
func (b *Batcher) Admit(now time.Time, r Request) error {
	w := &waiting{Request: r, arrived: now, rank: b.rank(now, r)}
	at := sort.Search(len(b.queue), func(i int) bool { return b.queue[i].rank.After(w.rank) })
	if err := b.refuse(now, w, at); err != nil {
		return err
	}
	if !w.Deadline.IsZero() {
		w.promised = now.Add(b.answeredIn(now, w, at))
		if call := b.lastCall(w, now, b.freeAt(now)); !b.expiry.IsZero() && call.Before(b.expiry) {
			b.expiry = call
		}
	}
	b.insert(at, w)
	return nil
}

// Foresee says what Admit would say now, and queues nothing. It takes as little
// of the request as is known before its body is read: Items may be 0, and the
// Key is not asked for.
func (b *Batcher) Foresee(now time.Time, r Request) error {
	r.Items = max(r.Items, 1)
	w := &waiting{Request: r, arrived: now, rank: b.rank(now, r)}
	at := sort.Search(len(b.queue), func(i int) bool { return b.queue[i].rank.After(w.rank) })
	return b.refuse(now, w, at)
}

func (b *Batcher) rank(now time.Time, r Request) time.Time {
	due := r.Deadline
	if due.IsZero() {
		due = now.Add(b.config.Patience)
	}
	return due.Add(time.Duration(r.Priority) * b.config.Ageing)
}

// refuse is why w, to be queued at the given position, is not.
func (b *Batcher) refuse(now time.Time, w *waiting, at int) error {
	switch c := b.config; {
	case w.Items < 1 || w.Items > c.MaxBatch:
		return fmt.Errorf("batch: between 1 and %d items, found %d", c.MaxBatch, w.Items)
	case b.items+w.Items > c.Capacity:
		return full(int64(b.items), int64(c.Capacity), "items", b.Backlog(now))
	case c.MaxBytes > 0 && w.Bytes > c.MaxBytes:
		return fmt.Errorf("inputs: at most %d bytes, found %d", c.MaxBytes, w.Bytes)
	case c.MaxBytes > 0 && b.bytes+w.Bytes > c.MaxBytes:
		return full(b.bytes, c.MaxBytes, "bytes", b.Backlog(now))
	case w.Deadline.IsZero():
		return nil
	}
	needs := b.answeredIn(now, w, at) + b.guard.extra(b.ahead(at))
	has := w.Deadline.Sub(now)
	if needs <= has || at == 0 && b.probing(now) && has > 0 {
		return nil
	}
	return late(needs, has, b.Backlog(now))
}

func (b *Batcher) insert(at int, w *waiting) {
	b.queue = append(b.queue, w)
	copy(b.queue[at+1:], b.queue[at:])
	b.queue[at] = w
	b.items += w.Items
	b.bytes += w.Bytes
}

// ahead counts the items before a position of the queue.
func (b *Batcher) ahead(at int) int {
	if at == len(b.queue) {
		return b.items
	}
	items := 0
	for _, w := range b.queue[:at] {
		items += w.Items
	}
	return items
}

// answeredIn predicts how long a request takes from the given position: the
// batches ahead, then its own, which is a full one behind others.
func (b *Batcher) answeredIn(now time.Time, w *waiting, at int) time.Duration {
	ahead := b.ahead(at)
	knee := b.knee(w.Key, ahead)
	own := ahead + w.Items
	if own > knee {
		own = max(knee, w.Items)
	}
	batches := time.Duration(ahead/knee) * b.costs.of(w.Key).Predict(knee) / time.Duration(b.config.Devices)
	return b.starts(now, b.rows(own)).Sub(now) + batches + b.lasts(w.Key, own)
}

// Backlog predicts how long a request would wait that came now and went last.
func (b *Batcher) Backlog(now time.Time) time.Duration {
	knee := b.knee("", b.items)
	perItem := float64(b.costs.device.perItemAt(knee)) / float64(b.config.Devices)
	return b.freeAt(now).Sub(now) + time.Duration(perItem*float64(b.items))
}

// Rate is how many items per second the devices manage at the knee; 0 while
// nothing is known.
func (b *Batcher) Rate() float64 {
	each := b.costs.device.perItemAt(b.knee("", 0)).Seconds()
	if each == 0 {
		return 0
	}
	return float64(b.config.Devices) / each
}

// probing says whether predictions are to be tried rather than believed.
func (b *Batcher) probing(now time.Time) bool {
	return len(b.flights) < b.config.Devices && now.Sub(b.taught) >= stale
}

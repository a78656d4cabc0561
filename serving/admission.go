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
	if r.Items < 1 || r.Items > b.config.MaxBatch {
		return fmt.Errorf("batch: between 1 and %d items, found %d", b.config.MaxBatch, r.Items)
	}
	if b.items+r.Items > b.config.Capacity {
		return full(b.items, b.config.Capacity, b.backlog(now, b.items))
	}
	w := waiting{Request: r, arrived: now, due: r.Deadline}
	if w.due.IsZero() {
		w.due = now.Add(b.config.Patience)
	}
	at := sort.Search(len(b.queue), func(i int) bool { return b.queue[i].due.After(w.due) })
	if needs, has, ok := b.reachable(now, w, at); !ok {
		return late(needs, has, b.backlog(now, b.items))
	}
	b.insert(at, w)
	return nil
}

func (b *Batcher) insert(at int, w waiting) {
	b.queue = append(b.queue, w)
	copy(b.queue[at+1:], b.queue[at:])
	b.queue[at] = w
	b.items += w.Items
}

// reachable predicts whether w, queued at the given position, is answered in time.
func (b *Batcher) reachable(now time.Time, w waiting, at int) (needs, has time.Duration, ok bool) {
	if w.Deadline.IsZero() {
		return 0, 0, true
	}
	needs = b.answeredIn(now, w.Items, at)
	has = w.Deadline.Sub(now)
	return needs, has, needs <= has || at == 0 && b.probing(now) && has > 0
}

// answeredIn predicts how long a request of so many items takes from the given
// position: the batches ahead, then its own, which is a full one behind others.
func (b *Batcher) answeredIn(now time.Time, items, at int) time.Duration {
	ahead := 0
	for _, other := range b.queue[:at] {
		ahead += other.Items
	}
	knee := b.cost.Knee(b.config.MaxBatch)
	own := ahead + items
	if own > knee {
		own = max(knee, items)
	}
	return b.starts(now).Sub(now) + time.Duration(ahead/knee)*b.cost.Predict(knee) + b.cost.Bound(own)
}

// backlog is the time before a request with so many items ahead of it starts.
func (b *Batcher) backlog(now time.Time, ahead int) time.Duration {
	knee := b.cost.Knee(b.config.MaxBatch)
	return b.starts(now).Sub(now) + time.Duration(ahead)*b.cost.perItemAt(knee)
}

// starts is when the next batch can start: now, or when the running one ends.
func (b *Batcher) starts(now time.Time) time.Time {
	if b.running > 0 && b.freeAt.After(now) {
		return b.freeAt
	}
	return now
}

// probing says whether predictions are to be tried rather than believed.
func (b *Batcher) probing(now time.Time) bool {
	return b.running == 0 && now.Sub(b.taught) >= stale
}

// expire takes requests out that cannot be answered by their deadline any more.
// It may stop at the first that can: the ones after it have more time.
func (b *Batcher) expire(now time.Time) []Dropped {
	var dropped []Dropped
	for i := 0; i < len(b.queue); {
		w := b.queue[i]
		switch {
		case w.Deadline.IsZero():
			i++
			continue
		case !b.lastCall(w, now).Before(now), i == 0 && b.probing(now) && w.Deadline.After(now):
			return dropped
		}
		dropped = append(dropped, Dropped{w.ID, Expired})
		b.remove(i)
	}
	return dropped
}

// lastCall is the last instant at which w still makes it: it must start when
// the device is free, and be through by its deadline.
func (b *Batcher) lastCall(w waiting, now time.Time) time.Time {
	start := w.Deadline.Add(-b.cost.Bound(w.Items))
	if b.starts(now).After(start) {
		return time.Time{}
	}
	return start
}

// nextExpiry is how long until a waiting request can no longer make it.
func (b *Batcher) nextExpiry(now time.Time) time.Duration {
	for _, w := range b.queue {
		if !w.Deadline.IsZero() {
			return max(0, b.lastCall(w, now).Sub(now)) + 1
		}
	}
	return Forever
}

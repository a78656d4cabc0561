package serving

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Forever is the wait of a Decision that only a new event can change.
const Forever = time.Duration(math.MaxInt64)

// Config says how a Batcher trades waiting for throughput.
type Config struct {
	MaxBatch int // most items in a batch; also most items in a request
	Capacity int // most items waiting, those running apart
	// Delay is the longest a request waits on a free device for a fuller batch.
	// Default 0: a free device starts at once.
	Delay time.Duration
	// Patience orders requests without a deadline: as if due so long after they
	// came. They are never dropped for it. Default 10 s.
	Patience time.Duration
}

// Batcher queues requests by deadline and forms batches for one device, which
// runs one at a time. It is not safe for concurrent use, and times given to it
// must not go back.
type Batcher struct {
	config Config
	cost   Cost

	queue []waiting // by due, then in order of arrival
	items int       // sum over queue

	running int       // items on the device, 0 while it is free
	freeAt  time.Time // when the running batch is expected to end
	taught  time.Time // when Cost last learned
}

// waiting is a queued request.
type waiting struct {
	Request
	arrived time.Time
	due     time.Time // the deadline, or what stands for one
}

// New refuses limits below 1 and negative times, all of them at once.
func New(c Config) (*Batcher, error) {
	var mistakes []error
	if c.MaxBatch < 1 {
		mistakes = append(mistakes, fmt.Errorf("max batch: less than 1, found %d", c.MaxBatch))
	}
	if c.Capacity < c.MaxBatch {
		mistakes = append(mistakes, fmt.Errorf("queue capacity: less than the max batch of %d, found %d", c.MaxBatch, c.Capacity))
	}
	if c.Delay < 0 || c.Patience < 0 {
		mistakes = append(mistakes, fmt.Errorf("delay and patience: negative, found %v and %v", c.Delay, c.Patience))
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Second
	}
	return &Batcher{config: c}, errors.Join(mistakes...)
}

// Waiting counts the requests in the queue.
func (b *Batcher) Waiting() int { return len(b.queue) }

// Cost is what was learned of the device so far.
func (b *Batcher) Cost() Cost { return b.cost }

// Learn teaches the cost of a batch that ran outside the queue: a warm-up.
func (b *Batcher) Learn(now time.Time, items int, took time.Duration) {
	b.cost.Observe(items, took)
	b.taught = now
}

// Decision is what Next wants done.
type Decision struct {
	// Batch is to be started now; empty if none is. Done or Failed ends it.
	Batch Batch
	// Dropped requests will never run. They are to be told so.
	Dropped []Dropped
	// Wait is when to ask again if nothing happens before. Forever: not at all.
	Wait time.Duration
}

// Next gives the batch due at now, the requests that can no longer be answered
// in time, and how long nothing will change by itself. It is called after every
// event and after Wait.
func (b *Batcher) Next(now time.Time) Decision {
	d := Decision{Dropped: b.expire(now), Wait: Forever}
	if b.running == 0 && len(b.queue) > 0 {
		if d.Wait = b.linger(now); d.Wait > 0 {
			return d
		}
		batch, dropped := b.form(now)
		d.Batch, d.Dropped = batch, append(d.Dropped, dropped...)
		b.start(now, d.Batch.Items)
	}
	d.Wait = b.nextExpiry(now)
	return d
}

func (b *Batcher) start(now time.Time, items int) {
	b.running = items
	b.freeAt = now.Add(b.cost.Predict(items))
}

// Done ends the running batch, which took so long.
func (b *Batcher) Done(now time.Time, took time.Duration) {
	b.Learn(now, b.running, took)
	b.running = 0
}

// Failed ends the running batch without learning from it.
func (b *Batcher) Failed(time.Time) { b.running = 0 }

// Cancel takes a request out of the queue. It is false where the request does
// not wait: a running one runs to its end.
func (b *Batcher) Cancel(id uint64) bool {
	i := slices.IndexFunc(b.queue, func(w waiting) bool { return w.ID == id })
	if i < 0 {
		return false
	}
	b.remove(i)
	return true
}

func (b *Batcher) remove(i int) {
	b.items -= b.queue[i].Items
	b.queue = slices.Delete(b.queue, i, i+1)
}

// linger is how much longer a free device should wait for a fuller batch.
func (b *Batcher) linger(now time.Time) time.Duration {
	if b.config.Delay == 0 || b.items >= b.config.MaxBatch {
		return 0
	}
	oldest := now
	until := now.Add(b.config.Delay)
	for _, w := range b.queue {
		if w.arrived.Before(oldest) {
			oldest = w.arrived
		}
		if !w.Deadline.IsZero() {
			until = earlier(until, w.Deadline.Add(-b.cost.Bound(b.items)))
		}
	}
	return max(0, earlier(until, oldest.Add(b.config.Delay)).Sub(now))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// form takes the next batch out of the queue: requests in order of deadline
// that share the first one's key, as many as the knee of the cost and the
// tightest deadline allow.
func (b *Batcher) form(now time.Time) (Batch, []Dropped) {
	var dropped []Dropped
	limit := b.cost.Knee(b.config.MaxBatch)
	chosen := b.choose(limit)
	for len(chosen) > 1 && !b.inTime(now, chosen) {
		fewer, i := b.shrink(now, chosen), b.tightest(chosen)
		if b.costly(sum(b.queue, fewer), sum(b.queue, chosen), b.queue[i].Items) {
			dropped = append(dropped, Dropped{b.queue[i].ID, Expired})
			b.remove(i)
			chosen = b.choose(limit)
			continue
		}
		chosen = fewer
	}
	return b.take(chosen), dropped
}

// choose lists positions in the queue: the first request and those after it
// that fit with it.
func (b *Batcher) choose(limit int) []int {
	if len(b.queue) == 0 {
		return nil
	}
	chosen, items := []int{0}, b.queue[0].Items
	for i := 1; i < len(b.queue) && items < limit; i++ {
		w := b.queue[i]
		if w.Key != b.queue[0].Key {
			continue
		}
		if items+w.Items > limit {
			break // not past it: requests of one deadline keep their order
		}
		chosen, items = append(chosen, i), items+w.Items
	}
	return chosen
}

// inTime says whether every chosen request is answered by its deadline.
func (b *Batcher) inTime(now time.Time, chosen []int) bool {
	i := b.tightest(chosen)
	return i < 0 || !now.Add(b.cost.Bound(sum(b.queue, chosen))).After(b.queue[i].Deadline)
}

// tightest is the position of the chosen request with the first deadline, -1
// if none has one.
func (b *Batcher) tightest(chosen []int) int {
	for _, i := range chosen {
		if !b.queue[i].Deadline.IsZero() {
			return i
		}
	}
	return -1
}

// shrink leaves requests out from the end until the rest are in time.
func (b *Batcher) shrink(now time.Time, chosen []int) []int {
	for len(chosen) > 1 && !b.inTime(now, chosen) {
		chosen = chosen[:len(chosen)-1]
	}
	return chosen
}

// costly says whether running fewer items instead of more would lose more items
// than the most urgent request has, while more wait than two full batches: then
// it is better to lose that one than to fall behind for all (Nexus, SOSP 2019).
func (b *Batcher) costly(fewer, more, urgent int) bool {
	if b.items <= 2*b.config.MaxBatch {
		return false
	}
	meanwhile := float64(fewer) * float64(b.cost.Predict(more)) / float64(b.cost.Predict(fewer))
	return float64(more)-meanwhile > float64(urgent)
}

// take removes the chosen positions from the queue.
func (b *Batcher) take(chosen []int) Batch {
	batch := Batch{Requests: make([]Request, len(chosen)), Items: sum(b.queue, chosen)}
	for n := len(chosen) - 1; n >= 0; n-- {
		batch.Requests[n] = b.queue[chosen[n]].Request
		b.remove(chosen[n])
	}
	return batch
}

func sum(queue []waiting, chosen []int) int {
	items := 0
	for _, i := range chosen {
		items += queue[i].Items
	}
	return items
}

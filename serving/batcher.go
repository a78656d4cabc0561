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
	MaxBatch int   // most items in a batch; also most items in a request
	Capacity int   // most items waiting, those running apart
	MaxBytes int64 // most bytes waiting. Default 0: no limit

	Devices int // batches that compute at the same time. Default 1
	// Slots is how many batches may be in flight. Those above Devices are
	// prepared while others compute. Default Devices: none is.
	Slots int
	// Sizes are the batch sizes the device runs, ascending, the last MaxBatch;
	// others are filled up with empty rows. Default: any size.
	Sizes []int

	// Delay is the longest a request waits on a free device for a fuller batch.
	// Default 0: a free device starts at once.
	Delay time.Duration
	// Patience orders requests without a deadline: as if due so long after they
	// came. They are never dropped for it. Default 10 s.
	Patience time.Duration
	// Ageing is how much later a step of Priority counts. Default 1 s.
	Ageing time.Duration
	// Margin is kept free before every deadline, for what is not measured here:
	// writing the answer, the way back. Default 0.
	Margin time.Duration
}

// Batcher queues requests by deadline and forms batches. It is not safe for
// concurrent use, and times given to it must not go back.
type Batcher struct {
	config Config
	costs  costs
	guard  guard
	cap    int // most items worth running together, as measured

	queue []*waiting // by rank, then in order of arrival
	items int        // sum over queue
	bytes int64      // sum over queue

	flights []flight // in order of their start
	started uint64   // batches so far
	taught  time.Time
	expiry  time.Time // nothing expires before; zero: look
}

// waiting is a queued request.
type waiting struct {
	Request
	arrived  time.Time
	rank     time.Time // orders the queue: the deadline or what stands for one, moved by Priority
	promised time.Time // when it was expected to be answered; zero without a deadline
}

// New refuses what cannot be meant, all of it at once.
func New(c Config) (*Batcher, error) {
	c = withDefaults(c)
	var mistakes []error
	refuse := func(is bool, format string, args ...any) {
		if is {
			mistakes = append(mistakes, fmt.Errorf(format, args...))
		}
	}
	refuse(c.MaxBatch < 1, "max batch: less than 1, found %d", c.MaxBatch)
	refuse(c.Capacity < c.MaxBatch, "queue capacity: less than the max batch of %d, found %d", c.MaxBatch, c.Capacity)
	refuse(c.MaxBytes < 0, "queue bytes: negative, found %d", c.MaxBytes)
	refuse(c.Devices < 1, "devices: less than 1, found %d", c.Devices)
	refuse(c.Slots < c.Devices, "slots: less than the devices, %d, found %d", c.Devices, c.Slots)
	refuse(c.Delay < 0 || c.Patience < 0, "delay and patience: negative, found %v and %v", c.Delay, c.Patience)
	refuse(c.Ageing < 0 || c.Margin < 0, "ageing and margin: negative, found %v and %v", c.Ageing, c.Margin)
	if n := len(c.Sizes); n > 0 {
		refuse(c.Sizes[0] < 1 || !ascending(c.Sizes) || c.Sizes[n-1] != c.MaxBatch,
			"batch sizes: from 1 up, ascending, the last the max batch of %d, found %v", c.MaxBatch, c.Sizes)
	}
	return &Batcher{config: c, cap: c.MaxBatch}, errors.Join(mistakes...)
}

func withDefaults(c Config) Config {
	if c.Devices == 0 {
		c.Devices = 1
	}
	if c.Slots == 0 {
		c.Slots = c.Devices
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Second
	}
	if c.Ageing == 0 {
		c.Ageing = time.Second
	}
	return c
}

func ascending(list []int) bool {
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			return false
		}
	}
	return true
}

// Waiting counts the requests in the queue.
func (b *Batcher) Waiting() int { return len(b.queue) }

// InFlight counts the batches that were started and have not ended.
func (b *Batcher) InFlight() int { return len(b.flights) }

// Cost is what was learned of the devices so far, over all keys: a copy.
func (b *Batcher) Cost() *Cost {
	c := b.costs.device
	return &c
}

// Learn teaches the cost of a batch that ran outside the queue: a warm-up.
func (b *Batcher) Learn(now time.Time, key string, rows int, s Spent) {
	b.costs.observe(key, rows, s)
	b.taught = now
	b.expiry = time.Time{}
}

// Swept ends a warm-up: batches will not grow beyond what it found best.
func (b *Batcher) Swept(s Sweep) { b.cap = s.Best(b.config.MaxBatch) }

// Decision is what Next wants done.
type Decision struct {
	// Batch is to be started now; empty if none is. Done or Failed ends it.
	Batch Batch
	// Dropped requests will not be answered in time and are to be told so. They
	// waited in the queue, or in a batch that waits for a device: that batch is
	// then to be run without them, or not at all.
	Dropped []Dropped
	// Wait is when to ask again if nothing happens before. 0: at once, for there
	// may be another batch. Forever: not at all.
	Wait time.Duration
}

// Next gives a batch due at now, the requests that can no longer be answered in
// time, and how long nothing will change by itself. It is called after every
// event and after Wait.
func (b *Batcher) Next(now time.Time) Decision {
	d := Decision{Dropped: b.expire(now), Wait: Forever}
	if len(b.queue) > 0 && len(b.flights) < b.config.Slots {
		d.Wait = b.early(now)
		if d.Wait == 0 {
			var dropped []Dropped
			d.Batch, dropped = b.form(now)
			d.Dropped = append(d.Dropped, dropped...)
			return d
		}
	}
	if !b.expiry.IsZero() {
		d.Wait = min(d.Wait, max(0, b.expiry.Sub(now))+1)
	}
	return d
}

// early is how much later the next batch should be formed.
func (b *Batcher) early(now time.Time) time.Duration {
	if len(b.flights) < b.config.Devices {
		return b.linger(now)
	}
	ahead := b.costs.before.Bound(min(b.items, b.config.MaxBatch))
	return max(0, b.freeAt(now).Add(-ahead).Sub(now))
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
			until = earlier(until, w.Deadline.Add(-b.lasts(w.Key, b.items)))
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

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Done ends a batch that ran.
func (b *Batcher) Done(now time.Time, id uint64, s Spent) {
	f := b.land(now, id)
	b.Learn(now, f.key, f.rows, s)
	for _, w := range f.requests {
		if !w.promised.IsZero() {
			b.guard.observe(now.Sub(w.promised), b.costs.device.Predict(f.rows))
		}
	}
}

// Failed ends a batch without learning from it.
func (b *Batcher) Failed(now time.Time, id uint64) { b.land(now, id) }

// Cancel takes a request out of the queue. It is false where the request does
// not wait: a running one runs to its end.
func (b *Batcher) Cancel(id uint64) bool {
	i := slices.IndexFunc(b.queue, func(w *waiting) bool { return w.ID == id })
	if i < 0 {
		return false
	}
	b.remove(i)
	return true
}

func (b *Batcher) remove(i int) {
	b.items -= b.queue[i].Items
	b.bytes -= b.queue[i].Bytes
	b.queue = slices.Delete(b.queue, i, i+1)
}

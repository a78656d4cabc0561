package serving_test

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/serving"
)

// arrival is a request of a simulated run.
type arrival struct {
	at      time.Duration
	request serving.Request
	cancel  time.Duration // when the caller leaves; 0: never
}

// event is a callback at a time of the simulation.
type event struct {
	at    time.Duration
	order int
	do    func(now time.Time)
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// simulation runs a batcher on a device that takes exactly the given time.
type simulation struct {
	batcher *serving.Batcher
	time    func(items int) time.Duration
	pending events
	order   int
	asked   time.Duration // when Next is asked next by its own wish
	outcome map[uint64][]string
	ends    map[uint64]time.Time // of those that ran
	batches []serving.Batch
	probes  map[uint64]bool // admitted on a free device that had not run for a second
	running bool
	learned time.Time
}

func simulate(b *serving.Batcher, cost func(int) time.Duration, arrivals []arrival) *simulation {
	s := &simulation{
		batcher: b, time: cost, asked: serving.Forever, learned: epoch,
		outcome: map[uint64][]string{}, ends: map[uint64]time.Time{}, probes: map[uint64]bool{},
	}
	for _, a := range arrivals {
		s.schedule(a.at, func(now time.Time) { s.admit(now, a.request) })
		if a.cancel > 0 {
			s.schedule(a.cancel, func(time.Time) { s.cancel(a.request.ID) })
		}
	}
	for s.pending.Len() > 0 || s.asked != serving.Forever {
		s.advance()
	}
	return s
}

func (s *simulation) schedule(after time.Duration, do func(time.Time)) {
	s.order++
	heap.Push(&s.pending, event{after, s.order, do})
}

// advance handles the next event, or asks Next when it wanted to be asked.
func (s *simulation) advance() {
	now := s.asked
	if s.pending.Len() > 0 && s.pending[0].at <= s.asked {
		e := heap.Pop(&s.pending).(event)
		now = e.at
		e.do(at(now))
	}
	s.next(now)
}

func (s *simulation) admit(now time.Time, r serving.Request) {
	if !s.running && now.Sub(s.learned) >= time.Second {
		s.probes[r.ID] = true
	}
	if err := s.batcher.Admit(now, r); err != nil {
		s.outcome[r.ID] = append(s.outcome[r.ID], "refused")
	}
}

func (s *simulation) cancel(id uint64) {
	if s.batcher.Cancel(id) {
		s.outcome[id] = append(s.outcome[id], "cancelled")
	}
}

func (s *simulation) next(now time.Duration) {
	d := s.batcher.Next(at(now))
	for _, dropped := range d.Dropped {
		s.outcome[dropped.ID] = append(s.outcome[dropped.ID], "dropped")
	}
	s.asked = serving.Forever
	if d.Wait != serving.Forever {
		s.asked = now + d.Wait
	}
	if len(d.Batch.Requests) == 0 {
		return
	}
	s.running = true
	s.batches = append(s.batches, d.Batch)
	took := s.time(d.Batch.Items)
	s.schedule(now+took, func(end time.Time) { s.finish(end, d.Batch, took) })
}

func (s *simulation) finish(end time.Time, b serving.Batch, took time.Duration) {
	s.running, s.learned = false, end
	for _, r := range b.Requests {
		s.outcome[r.ID] = append(s.outcome[r.ID], "ran")
		s.ends[r.ID] = end
	}
	s.batcher.Done(end, took)
}

// goodput counts what was answered by its deadline.
func (s *simulation) goodput(arrivals []arrival) int {
	n := 0
	for _, a := range arrivals {
		end, ran := s.ends[a.request.ID]
		if ran && !end.After(a.request.Deadline) {
			n++
		}
	}
	return n
}

func drawArrivals(t *rapid.T, maxBatch int) []arrival {
	var now time.Duration
	n := rapid.IntRange(1, 120).Draw(t, "requests")
	arrivals := make([]arrival, n)
	for i := range arrivals {
		now += time.Duration(rapid.SampledFrom([]int{0, 0, 1, 3, 10, 100, 1500}).Draw(t, "gap")) * ms
		a := arrival{at: now, request: serving.Request{
			ID:    uint64(i),
			Items: rapid.IntRange(1, maxBatch).Draw(t, "items"),
			Key:   rapid.SampledFrom([]string{"", "", "x"}).Draw(t, "key"),
		}}
		if budget := rapid.SampledFrom([]int{0, 0, 5, 20, 60, 300}).Draw(t, "budget"); budget > 0 {
			a.request.Deadline = at(now + time.Duration(budget)*ms)
		}
		if patience := rapid.SampledFrom([]int{0, 0, 0, 0, 1, 30}).Draw(t, "leaves after"); patience > 0 {
			a.cancel = now + time.Duration(patience)*ms
		}
		arrivals[i] = a
	}
	return arrivals
}

func TestBatcherProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxBatch := rapid.IntRange(1, 8).Draw(t, "max batch")
		fixed := time.Duration(rapid.IntRange(0, 20).Draw(t, "fixed")) * ms
		perItem := time.Duration(rapid.IntRange(1, 10).Draw(t, "per item")) * ms
		config := serving.Config{
			MaxBatch: maxBatch, Capacity: maxBatch + rapid.IntRange(0, 30).Draw(t, "capacity"),
			Delay: time.Duration(rapid.SampledFrom([]int{0, 0, 4}).Draw(t, "delay")) * ms,
		}
		b, err := serving.New(config)
		require.NoError(t, err)
		cost := func(items int) time.Duration { return fixed + time.Duration(items)*perItem }
		for items := 1; items <= maxBatch; items++ {
			b.Learn(epoch, items, cost(items))
		}
		arrivals := drawArrivals(t, maxBatch)
		s := simulate(b, cost, arrivals)

		checkOutcomes(t, s, arrivals)
		checkBatches(t, s, maxBatch)
		assert.Zero(t, b.Waiting(), "nothing is left behind")
	})
}

func checkOutcomes(t *rapid.T, s *simulation, arrivals []arrival) {
	for _, a := range arrivals {
		id := a.request.ID
		require.Len(t, s.outcome[id], 1, "request %d has exactly one outcome", id)
		deadline := a.request.Deadline
		if s.outcome[id][0] == "ran" && !deadline.IsZero() && !s.probes[id] {
			require.LessOrEqual(t, s.ends[id].Sub(deadline), time.Microsecond, "request %d is not run to end late", id)
		}
		if s.outcome[id][0] == "dropped" {
			require.False(t, deadline.IsZero(), "request %d without a deadline is never dropped", id)
		}
	}
}

func checkBatches(t *rapid.T, s *simulation, maxBatch int) {
	last := map[string]uint64{} // by key and deadline
	for _, b := range s.batches {
		items := 0
		for _, r := range b.Requests {
			items += r.Items
			require.Equal(t, b.Requests[0].Key, r.Key, "one key in a batch")
			class := r.Key + r.Deadline.String()
			before, seen := last[class]
			require.True(t, !seen || before < r.ID, "first come, first served among equal deadlines: %d ran before %d", before, r.ID)
			last[class] = r.ID
		}
		require.Equal(t, b.Items, items)
		require.LessOrEqual(t, items, maxBatch)
	}
}

// poisson draws single requests at a rate per second for ten seconds.
func poisson(rate float64, budget time.Duration) []arrival {
	random := rand.New(rand.NewPCG(7, 7))
	var arrivals []arrival
	for now := 0.0; now < 10; now += random.ExpFloat64() / rate {
		d := time.Duration(now * float64(time.Second))
		arrivals = append(arrivals, arrival{at: d, request: due(uint64(len(arrivals)), d+budget)})
	}
	return arrivals
}

func TestBatcherUnderLoad(t *testing.T) {
	tests := []struct {
		name           string
		fixed, perItem time.Duration
		load           float64 // of the device's limit
		least          float64 // goodput as a share of the limit, or of what came if that is less
	}{
		{"batching pays, load 0.8", 2 * ms, 100 * time.Microsecond, 0.8, 1},
		{"batching pays, load 0.95", 2 * ms, 100 * time.Microsecond, 0.95, 0.99},
		{"batching pays, load 1.5", 2 * ms, 100 * time.Microsecond, 1.5, 0.95},
		{"batching does not pay, load 0.8", 0, 6 * ms, 0.8, 0.98},
		{"batching does not pay, load 1.5", 0, 6 * ms, 1.5, 0.95},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const most = 64
			cost := func(items int) time.Duration { return test.fixed + time.Duration(items)*test.perItem }
			limit := most / cost(most).Seconds()
			b := device(t, serving.Config{MaxBatch: most, Capacity: 1024}, test.fixed, test.perItem)
			arrivals := poisson(test.load*limit, 100*ms)
			share := float64(simulate(b, cost, arrivals).goodput(arrivals)) / min(10*limit, float64(len(arrivals)))
			t.Logf("goodput %.3f of the limit of %.0f/s", share, limit)
			assert.GreaterOrEqual(t, share, test.least)
		})
	}
}

package serving_test

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	do    func(now time.Duration)
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

// machine takes exactly so long for a batch: first its host, which can prepare
// any number at once, then one of its devices.
type machine struct {
	before  time.Duration
	device  func(rows int) time.Duration
	devices int
	fails   func() bool                                     // a run panics; nil: never
	mood    func(now time.Duration, rows int) time.Duration // instead of device, if not nil
}

// simulation runs a batcher on a machine.
type simulation struct {
	machine
	batcher *serving.Batcher
	pending events
	order   int
	asked   time.Duration // when Next is asked next by its own wish
	ready   []serving.Batch
	busy    int // devices
	used    time.Duration

	gone    map[uint64]bool // dropped while their batch waits for a device
	outcome map[uint64][]string
	ends    map[uint64]time.Time // of those that ran
	batches []serving.Batch
	probes  map[uint64]bool // admitted on a free device that had not run for a second
	learned time.Time
	idle    []time.Duration // when something waited before a free device
}

func simulate(b *serving.Batcher, m machine, arrivals []arrival) *simulation {
	s := &simulation{
		machine: m, batcher: b, asked: serving.Forever, learned: epoch,
		gone: map[uint64]bool{}, outcome: map[uint64][]string{}, ends: map[uint64]time.Time{}, probes: map[uint64]bool{},
	}
	for _, a := range arrivals {
		s.schedule(a.at, func(now time.Duration) { s.admit(at(now), a.request) })
		if a.cancel > 0 {
			s.schedule(a.cancel, func(time.Duration) { s.cancel(a.request.ID) })
		}
	}
	for s.pending.Len() > 0 || s.asked != serving.Forever {
		s.advance()
	}
	return s
}

func (s *simulation) schedule(after time.Duration, do func(time.Duration)) {
	s.order++
	heap.Push(&s.pending, event{after, s.order, do})
}

// advance handles the next event, or asks Next when it wanted to be asked.
func (s *simulation) advance() {
	now := s.asked
	if s.pending.Len() > 0 && s.pending[0].at <= s.asked {
		e := heap.Pop(&s.pending).(event)
		now = e.at
		e.do(now)
	}
	for s.next(now) {
	}
	if s.batcher.Waiting() > 0 && s.batcher.InFlight() < s.devices {
		s.idle = append(s.idle, now)
	}
}

func (s *simulation) admit(now time.Time, r serving.Request) {
	if s.batcher.InFlight() < s.devices && now.Sub(s.learned) >= time.Second {
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

// next asks for one decision, and says whether to ask again at once.
func (s *simulation) next(now time.Duration) bool {
	d := s.batcher.Next(at(now))
	for _, dropped := range d.Dropped {
		s.outcome[dropped.ID] = append(s.outcome[dropped.ID], "dropped")
		s.gone[dropped.ID] = true
	}
	s.asked = serving.Forever
	if d.Wait != serving.Forever {
		s.asked = now + d.Wait
	}
	if len(d.Batch.Requests) > 0 {
		s.batches = append(s.batches, d.Batch)
		s.schedule(now+s.before, func(now time.Duration) {
			s.ready = append(s.ready, d.Batch)
			s.compute(now)
		})
	}
	return d.Wait == 0
}

// compute lets free devices take what is prepared.
func (s *simulation) compute(now time.Duration) {
	for s.busy < s.devices && len(s.ready) > 0 {
		b := s.ready[0]
		s.ready, s.busy = s.ready[1:], s.busy+1
		b.Requests = slices.DeleteFunc(b.Requests, func(r serving.Request) bool { return s.gone[r.ID] })
		took := s.device(b.Rows)
		if s.mood != nil {
			took = s.mood(now, b.Rows)
		}
		s.used += took
		s.schedule(now+took, func(now time.Duration) { s.finish(now, b, took) })
	}
}

func (s *simulation) finish(now time.Duration, b serving.Batch, took time.Duration) {
	s.busy, s.learned = s.busy-1, at(now)
	defer s.compute(now)
	if s.fails != nil && s.fails() {
		for _, r := range b.Requests {
			s.outcome[r.ID] = append(s.outcome[r.ID], "failed")
		}
		s.batcher.Failed(at(now), b.ID)
		return
	}
	for _, r := range b.Requests {
		s.outcome[r.ID] = append(s.outcome[r.ID], "ran")
		s.ends[r.ID] = at(now)
	}
	s.batcher.Done(at(now), b.ID, serving.Spent{Before: s.before, Device: took})
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

// poisson draws single requests at a rate per second for so many seconds.
func poisson(rate, length float64, budget time.Duration) []arrival {
	random := rand.New(rand.NewPCG(7, 7))
	var arrivals []arrival
	for now := random.ExpFloat64() / rate; now < length; now += random.ExpFloat64() / rate {
		d := time.Duration(now * float64(time.Second))
		arrivals = append(arrivals, arrival{at: d, request: due(uint64(len(arrivals)), d+budget)})
	}
	return arrivals
}

// know teaches a batcher the machine, so that predictions are exact.
func (m machine) know(t require.TestingT, c serving.Config) *serving.Batcher {
	b, err := serving.New(c)
	require.NoError(t, err)
	for range 300 { // the first guesses were wrong; let their error fade
		for _, rows := range []int{1, (1 + c.MaxBatch) / 2, c.MaxBatch} {
			spent := serving.Spent{Before: m.before, Device: m.device(rows)}
			b.Learn(epoch, "", rows, spent)
			b.Learn(epoch, "x", rows, spent)
		}
	}
	return b
}

func affine(fixed, perItem time.Duration) func(int) time.Duration {
	return func(rows int) time.Duration { return fixed + time.Duration(rows)*perItem }
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
			m := machine{device: affine(test.fixed, test.perItem), devices: 1}
			limit := most / m.device(most).Seconds()
			b := m.know(t, serving.Config{MaxBatch: most, Capacity: 1024})
			arrivals := poisson(test.load*limit, 10, 100*ms)
			share := float64(simulate(b, m, arrivals).goodput(arrivals)) / min(10*limit, float64(len(arrivals)))
			t.Logf("goodput %.3f of the limit of %.0f/s", share, limit)
			require.GreaterOrEqual(t, share, test.least)
		})
	}
}

func TestGoodputDoesNotFallWithLoad(t *testing.T) {
	m := machine{before: 600 * time.Microsecond, device: affine(2*ms, 100*time.Microsecond), devices: 1}
	best := 0.0
	for _, load := range []float64{0.5, 0.8, 0.95, 1.1, 1.5, 2, 4} {
		b := m.know(t, serving.Config{MaxBatch: 64, Capacity: 1024, Slots: 2})
		arrivals := poisson(load*7619, 4, 25*ms)
		good := float64(simulate(b, m, arrivals).goodput(arrivals))
		t.Logf("load %v: %v answered in time", load, good)
		require.GreaterOrEqual(t, good, 0.98*best, "at load %v", load)
		best = max(best, good)
	}
}

package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/serving"
)

func drawArrivals(t *rapid.T, maxBatch int) []arrival {
	var now time.Duration
	n := rapid.IntRange(1, 120).Draw(t, "requests")
	arrivals := make([]arrival, n)
	for i := range arrivals {
		now += time.Duration(rapid.SampledFrom([]int{0, 0, 1, 3, 10, 100, 1500}).Draw(t, "gap")) * ms
		a := arrival{at: now, request: serving.Request{
			ID:       uint64(i),
			Items:    rapid.IntRange(1, maxBatch).Draw(t, "items"),
			Bytes:    rapid.Int64Range(1, 50).Draw(t, "bytes"),
			Key:      rapid.SampledFrom([]string{"", "", "x"}).Draw(t, "key"),
			Priority: rapid.SampledFrom([]serving.Priority{serving.Normal, serving.Urgent, serving.Patient}).Draw(t, "priority"),
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

func drawConfig(t *rapid.T) serving.Config {
	c := serving.Config{MaxBatch: rapid.IntRange(1, 8).Draw(t, "max batch")}
	c.Capacity = c.MaxBatch + rapid.IntRange(0, 30).Draw(t, "capacity")
	c.MaxBytes = rapid.SampledFrom([]int64{0, 0, 100, 1000}).Draw(t, "max bytes")
	c.Delay = time.Duration(rapid.SampledFrom([]int{0, 0, 4}).Draw(t, "delay")) * ms
	c.Ageing = time.Duration(rapid.SampledFrom([]int{10, 1000}).Draw(t, "ageing")) * ms
	c.Devices = rapid.IntRange(1, 3).Draw(t, "devices")
	c.Slots = c.Devices + rapid.IntRange(0, 3).Draw(t, "staged")
	if rapid.Bool().Draw(t, "sizes") {
		for size := 1; size < c.MaxBatch; size *= 2 {
			c.Sizes = append(c.Sizes, size)
		}
		c.Sizes = append(c.Sizes, c.MaxBatch)
	}
	return c
}

func TestBatcherProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		m := machine{
			before: time.Duration(rapid.IntRange(0, 3).Draw(t, "before")) * ms,
			device: affine(time.Duration(rapid.IntRange(0, 20).Draw(t, "fixed"))*ms,
				time.Duration(rapid.IntRange(1, 10).Draw(t, "per item"))*ms),
			devices: c.Devices,
		}
		b := m.know(t, c)
		arrivals := drawArrivals(t, c.MaxBatch)
		s := simulate(b, m, arrivals)

		checkOutcomes(t, s, arrivals)
		checkBatches(t, s, c)
		if c.Delay == 0 {
			assert.Empty(t, s.idle, "a free device never waits")
		}
		assert.Zero(t, b.Waiting(), "nothing is left behind")
		assert.Zero(t, b.InFlight(), "every slot comes back")
	})
}

func checkOutcomes(t *rapid.T, s *simulation, arrivals []arrival) {
	for _, a := range arrivals {
		id := a.request.ID
		require.Len(t, s.outcome[id], 1, "request %d has exactly one outcome", id)
		deadline := a.request.Deadline
		if s.outcome[id][0] == "ran" && !deadline.IsZero() && !s.probes[id] {
			require.LessOrEqual(t, s.ends[id].Sub(deadline), 10*time.Microsecond, "request %d is not run to end late", id)
		}
		if s.outcome[id][0] == "dropped" {
			require.False(t, deadline.IsZero(), "request %d without a deadline is never dropped", id)
		}
	}
}

func checkBatches(t *rapid.T, s *simulation, c serving.Config) {
	last := map[string]uint64{} // by key, deadline and priority
	for _, b := range s.batches {
		items := 0
		for _, r := range b.Requests {
			items += r.Items
			require.Equal(t, b.Requests[0].Key, r.Key, "one key in a batch")
			class := r.Key + r.Deadline.String() + string(rune('b'+r.Priority))
			before, seen := last[class]
			require.True(t, !seen || before < r.ID, "first come, first served among equals: %d ran before %d", before, r.ID)
			last[class] = r.ID
		}
		require.Equal(t, b.Items, items)
		require.LessOrEqual(t, items, b.Rows)
		require.LessOrEqual(t, b.Rows, c.MaxBatch)
		if c.Sizes != nil {
			require.Contains(t, c.Sizes, b.Rows)
		}
	}
}

// TestNobodyWaitsForEver sends urgent requests without end, more than the device
// manages, and one patient request.
func TestNobodyWaitsForEver(t *testing.T) {
	c := serving.Config{MaxBatch: 1, Capacity: 100_000, Patience: 100 * ms, Ageing: 200 * ms}
	m := machine{device: affine(10*ms, 0), devices: 1}
	arrivals := []arrival{{request: serving.Request{ID: 0, Items: 1, Priority: serving.Patient}}}
	for id := uint64(1); id < 2000; id++ {
		arrivals = append(arrivals, arrival{
			at: time.Duration(id) * 5 * ms, request: serving.Request{ID: id, Items: 1, Priority: serving.Urgent},
		})
	}
	arrivals[0].at = ms // behind the first
	arrivals[0], arrivals[1] = arrivals[1], arrivals[0]
	arrivals[0].at = 0
	s := simulate(m.know(t, c), m, arrivals)
	// Urgent ones that come within two steps of ageing go first, no others.
	most := int64(2*c.Ageing/(5*ms)) + 2
	waited := s.ends[0].Sub(epoch).Milliseconds()
	require.LessOrEqual(t, waited, 10*most)
	require.Greater(t, waited, 5*most, "urgent ones did go first")
}

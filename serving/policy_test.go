package serving_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

// The device of the table: a limit of 7,619 items/s, behind a host that takes
// 0.6 ms to prepare a batch, for requests that are due in 25 ms.
const (
	policyBatch  = 64
	policyBudget = 25 * ms
	policyLimit  = 7619
	policyTime   = 20 // seconds
)

func policyMachine() machine {
	return machine{before: 600 * time.Microsecond, device: affine(2*ms, 100*time.Microsecond), devices: 1}
}

// result is what a policy made of one load.
type result struct {
	waits []time.Duration // of what was answered, from arrival to answer
	good  int             // answered in time
	used  time.Duration   // of the device
}

func (r result) String() string {
	slices.Sort(r.waits)
	quantile := func(q float64) float64 {
		if len(r.waits) == 0 {
			return 0
		}
		return float64(r.waits[int(q*float64(len(r.waits)-1))]) / float64(ms)
	}
	return fmt.Sprintf("%5.1f %% of the limit, p50 %5.1f ms, p99 %5.1f ms, device busy %3.0f %%",
		100*float64(r.good)/(policyLimit*policyTime), quantile(0.5), quantile(0.99), 100*r.used.Seconds()/policyTime)
}

// host says when the host prepares a batch.
type host int

const (
	waiting    host = iota // when the device is free
	overlapped             // while the device computes
)

// fifo is what servers do: first come, first served, what is past its deadline
// when its batch is formed is dropped. Overlapped, the host prepares a batch
// while the device computes; a partial batch is delayed by so much.
func fifo(arrivals []arrival, delay time.Duration, h host) result {
	m, r := policyMachine(), result{}
	var free time.Duration
	for i := 0; i < len(arrivals); {
		start := max(free, arrivals[i].at)
		if h == overlapped {
			start = max(free-m.before, arrivals[i].at)
		}
		if i+policyBatch > len(arrivals) || arrivals[i+policyBatch-1].at > start {
			full := arrivals[min(i+policyBatch, len(arrivals))-1].at
			start = max(start, min(full, arrivals[i].at+delay))
		}
		var batch []arrival
		for ; i < len(arrivals) && arrivals[i].at <= start && len(batch) < policyBatch; i++ {
			if arrivals[i].at+policyBudget > start {
				batch = append(batch, arrivals[i])
			}
		}
		if len(batch) == 0 {
			continue
		}
		took := m.device(len(batch))
		free = max(free, start+m.before) + took
		r.used += took
		for _, a := range batch {
			r.answered(free - a.at)
		}
	}
	return r
}

func (r *result) answered(wait time.Duration) {
	r.waits = append(r.waits, wait)
	if wait <= policyBudget {
		r.good++
	}
}

// ours is the Batcher with a batch prepared while another computes.
func ours(t *testing.T, arrivals []arrival) result {
	m, r := policyMachine(), result{}
	b := m.know(t, serving.Config{MaxBatch: policyBatch, Capacity: 4096, Slots: 2})
	s := simulate(b, m, arrivals)
	r.used = s.used
	for _, a := range arrivals {
		if end, ran := s.ends[a.request.ID]; ran {
			r.answered(end.Sub(at(a.at)))
		}
	}
	return r
}

// bursty has every fifth 100 ms three times the mean rate.
func bursty(load float64) []arrival {
	random := rand.New(rand.NewPCG(9, 9))
	all := poisson(load*3*policyLimit, policyTime, policyBudget)
	return slices.DeleteFunc(all, func(a arrival) bool {
		burst := a.at/(100*ms)%5 == 0
		return !burst && random.Float64() > 1.0/6
	})
}

// TestPoliciesGolden compares policies on one simulated device. The golden file
// is the table; what it must say is below.
func TestPoliciesGolden(t *testing.T) {
	loads := []struct {
		name     string
		arrivals []arrival
	}{
		{"0.10", poisson(0.10*policyLimit, policyTime, policyBudget)},
		{"0.80", poisson(0.80*policyLimit, policyTime, policyBudget)},
		{"0.95", poisson(0.95*policyLimit, policyTime, policyBudget)},
		{"1.20", poisson(1.20*policyLimit, policyTime, policyBudget)},
		{"0.95 in bursts", bursty(0.95)},
	}
	var table strings.Builder
	good := map[string]float64{}
	for _, load := range loads {
		fmt.Fprintf(&table, "load %s\n", load.name)
		for _, policy := range []struct {
			name string
			result
		}{
			{"one after the other, drop expired", fifo(load.arrivals, 0, waiting)},
			{"the same, with a delay of 5 ms", fifo(load.arrivals, 5*ms, waiting)},
			{"overlapped, drop expired", fifo(load.arrivals, 0, overlapped)},
			{"Batcher", ours(t, load.arrivals)},
		} {
			fmt.Fprintf(&table, "  %-34s %v\n", policy.name, policy.result)
			good[load.name+" "+policy.name] = float64(policy.good) / (policyLimit * policyTime)
		}
	}
	compareGolden(t, "policies.golden", table.String())

	assert.Greater(t, good["0.95 Batcher"], 0.94)
	assert.Greater(t, good["1.20 Batcher"], 0.98)
	assert.Less(t, good["1.20 overlapped, drop expired"], 0.1)
	assert.Greater(t, good["0.95 in bursts Batcher"], good["0.95 in bursts overlapped, drop expired"])
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// TestAMillionArrivalsEndOnce draws worlds in which callers leave, deadlines
// pass and runs fail, and counts how every request ended.
func TestAMillionArrivalsEndOnce(t *testing.T) {
	const worlds, each = 40, 25_000
	total := map[string]int{}
	for seed := range uint64(worlds) {
		s, arrivals := crowd(t, seed, each)
		for _, a := range arrivals {
			require.Len(t, s.outcome[a.request.ID], 1, "world %d, request %d", seed, a.request.ID)
			total[s.outcome[a.request.ID][0]]++
		}
		require.Zero(t, s.batcher.Waiting()+s.batcher.InFlight(), "world %d", seed)
	}
	t.Log(total)
	for _, outcome := range []string{"ran", "refused", "dropped", "cancelled", "failed"} {
		assert.Greater(t, total[outcome], 1000, outcome)
	}
}

func crowd(t *testing.T, seed uint64, n int) (*simulation, []arrival) {
	random := rand.New(rand.NewPCG(seed, 1))
	c := serving.Config{MaxBatch: 1 + random.IntN(32), Devices: 1 + random.IntN(2), Delay: time.Duration(random.IntN(2)) * ms}
	c.Capacity = cmp.Or(random.IntN(3)*200, 64)
	c.Slots = c.Devices + random.IntN(2)
	noise := func(rows int) time.Duration { // what was learned is seldom what happens
		return time.Duration((0.5 + random.ExpFloat64()) * float64(affine(2*ms, 300*time.Microsecond)(rows)))
	}
	m := machine{before: 100 * time.Microsecond, device: noise, devices: c.Devices}
	m.fails = func() bool { return random.IntN(20) == 0 }
	arrivals := make([]arrival, n)
	var now time.Duration
	for i := range arrivals {
		now += time.Duration(random.ExpFloat64() * float64(200*time.Microsecond))
		r := serving.Request{
			ID: uint64(i), Items: 1 + random.IntN(min(3, c.MaxBatch)), Key: []string{"", "y"}[random.IntN(2)],
			Priority: serving.Priority(random.IntN(3) - 1),
		}
		if random.IntN(4) > 0 {
			r.Deadline = at(now + time.Duration(1+random.IntN(60))*ms)
		}
		arrivals[i] = arrival{at: now, request: r}
		if random.IntN(4) == 0 {
			arrivals[i].cancel = now + time.Duration(1+random.IntN(30))*ms
		}
	}
	return simulate(m.know(t, c), m, arrivals), arrivals
}

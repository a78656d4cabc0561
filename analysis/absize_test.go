package analysis

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// filled is a ledger at its bounds: every unit under observation, all requests known,
// and as many units with reports that nobody has seen.
func filled(outcomes int) *ABLedger {
	t := observed()
	for i := range outcomes - len(t.Outcomes) {
		t.Outcomes = append(t.Outcomes, config.ABOutcome{Name: fmt.Sprintf("latency-%d", i), Kind: config.ABSlow, Better: config.ABLower, Limit: config.Duration(1e9)})
	}
	t.Outcomes = t.Outcomes[:outcomes]
	l := NewABLedger(t)
	l.Declare(7, true)
	for i := range mostABUnits {
		l.Serve(asked(fmt.Sprintf("6f1c2d3e-aaaa-bbbb-cccc-%012d", i), fmt.Sprintf("user-%d", i), "v1", float64(i)/1e6))
	}
	for i := range mostABWaiting {
		l.Report(after(1), ABReport{Unit: fmt.Sprintf("nobody-%d", i), Outcome: "clicks", Value: 1, At: after(1)})
	}
	return l
}

func TestALedgerAtItsBoundsTakesTheMemoryThatIsSaid(t *testing.T) {
	for _, tt := range []struct{ outcomes, heap, saved int }{
		{1, 100, 30}, {20, 150, 90}, // MB, generous
	} {
		t.Run(fmt.Sprintf("%d outcomes", tt.outcomes), func(t *testing.T) {
			before := heapInUse()
			l := filled(tt.outcomes)
			heap := heapInUse() - before
			saved, transient := saving(l)
			counts := l.Counts()
			require.Equal(t, []int64{mostABUnits, mostABWaiting, 0, 0}, []int64{counts.Open, counts.Waiting, counts.Excess, counts.Outside})
			require.Len(t, l.requests.of, mostABRequests)
			t.Logf("%d outcomes: %.0f MB in memory, %.0f MB saved, %.0f MB allocated to save", tt.outcomes, float64(heap)/1e6, float64(saved)/1e6, float64(transient)/1e6)
			require.Less(t, heap, int64(tt.heap)*1e6)
			require.Less(t, saved, tt.saved*1_000_000)
			require.Less(t, transient, uint64(tt.saved)*2_000_000)
			runtime.KeepAlive(l)
		})
	}
}

// saving is how large what is saved is, and how much was allocated for it, in bytes.
func saving(l *ABLedger) (saved int, allocated uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	saved = len(l.Save().Memory)
	runtime.ReadMemStats(&after)
	return saved, after.TotalAlloc - before.TotalAlloc
}

// heapInUse is what is reachable, in bytes.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkABJudge is what a look costs a test of as many arms and outcomes as there may
// be.
func BenchmarkABJudge(b *testing.B) {
	var test ABTest
	var e ABEvidence
	for o := range 20 {
		test.Outcomes = append(test.Outcomes, config.ABOutcome{Name: fmt.Sprintf("outcome-%d", o), Kind: config.ABErrors, Better: config.ABLower})
	}
	test.Error = fivePercent
	for a := range 6 {
		test.Arms = append(test.Arms, fmt.Sprintf("arm-%d", a))
		for _, o := range test.Outcomes {
			for n := range 200 {
				e.Add(o.Name, test.Arms[a], abUnit*rateOf(n%(10+a) == 0).Bad)
			}
		}
	}
	for b.Loop() {
		test.Judge(e)
	}
}

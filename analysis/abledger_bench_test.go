package analysis

import (
	"fmt"
	"testing"
)

// A log entry's cost to a test that knows its unit, or takes it in.
func BenchmarkABLedgerServe(b *testing.B) {
	requests := make([]Request, 10_000)
	for i := range requests {
		requests[i] = asked(fmt.Sprintf("6f1c2d3e-aaaa-bbbb-cccc-%012d", i), fmt.Sprintf("user-%d", i/2), "v1", 0)
	}
	l := joined()
	for i := 0; b.Loop(); i++ {
		l.Serve(requests[i%len(requests)])
	}
}

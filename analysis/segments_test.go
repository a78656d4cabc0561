package analysis

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// tenants splits traffic among tenants of equal size, but for the first, which has
// 2% and may be broken at the candidate.
func tenants(rng *rand.Rand, index int64, rps float64, share uint32, base, broken float64) Closed {
	stable, candidate := windowOf(index, "v1", 1, "a:1", 0, 0), windowOf(index, "v2", 1, "b:1", 0, 0)
	for range poisson(rng, rps*WindowLength.Seconds()) {
		name, bad := fmt.Sprintf("tenant-%d", 1+rng.IntN(9)), base
		if rng.Float64() < 0.02 {
			name = "tenant-0"
		}
		w := &stable
		if rng.Float64() < float64(share)/1e4 {
			w = &candidate
			if name == "tenant-0" {
				bad = broken
			}
		}
		c := SegmentCount{Name: name, Requests: 1, Errors: rateOf(rng.Float64() < bad).Bad}
		w.Requests++
		w.Errors += c.Errors
		w.Segments.add(c)
	}
	return Closed{Windows: []Window{stable, candidate}, Shares: map[uint64]uint32{1: share}}
}

// watched is what comes of a candidate that is broken for one tenant, or for none.
func watched(seed uint64, p config.PolicySpec, e Evidence, whole time.Duration, base, broken float64) Assessment {
	rng := rand.New(rand.NewPCG(seed, 3))
	var a Assessment
	for index := range int64(whole / WindowLength) {
		e = e.Update(p, tenants(rng, index, 200, 1000, base, broken))
		if index%4 == 3 {
			if a = Judge(p, e, time.Unix(0, 0)); a.Verdict == Harmful {
				return a
			}
		}
	}
	return a
}

func TestAVersionThatIsBrokenForOneTenantIsNamed(t *testing.T) {
	p := boundaryPolicy()
	p.Metrics[0].VersusStable.RollbackIf = 1.5 // all tenants together have 1.4 times stable's errors
	all := NewEvidence(p, testArms())
	unseen, segmented := 0, 0
	for seed := range uint64(10) {
		a := watched(seed, p, all.Segmented(20), 4*time.Minute, 0.01, 0.2)
		if a.Verdict == Harmful {
			segmented++
			require.Equal(t, "tenant-0", a.Why.Segment, a.Reason)
			require.Contains(t, a.Reason, "errors of tenant-0")
		}
		if a := watched(seed, p, all, 4*time.Minute, 0.01, 0.2); a.Verdict != Harmful {
			unseen++
		}
	}
	t.Logf("of 10, segments found %d; all requests together missed %d", segmented, unseen)
	assert.Equal(t, 10, segmented)
	assert.Equal(t, 10, unseen)
}

func TestSegmentsOfAnEqualCandidateAreBlamedNoMoreOftenThanStated(t *testing.T) {
	const runs = 120
	p, n := boundaryPolicy(), 0
	for seed := range uint64(runs) {
		if a := watched(1000+seed, p, NewEvidence(p, testArms()).Segmented(20), 2*time.Minute, 0.02, 0.02); a.Verdict == Harmful {
			n++
		}
	}
	t.Logf("%d of %d equal candidates were rolled back at 5%%", n, runs)
	assert.LessOrEqual(t, n, runs*5/100)
}

func TestSegmentsBeyondTheMostAreCountedAndLeft(t *testing.T) {
	p := boundaryPolicy()
	e := NewEvidence(p, testArms()).Segmented(2)
	w := windowOf(1, "v2", 1, "b:1", 3, 0)
	for _, name := range []string{"c", "a", "b"} {
		w.Segments.add(SegmentCount{Name: name, Requests: 1})
	}
	e = e.Update(p, Closed{Windows: []Window{w}})
	require.Len(t, e.Segments.Each, 2)
	require.Equal(t, int64(1), e.Segments.Left)
}

func TestEvidenceOfSegmentsIsTheSameHoweverWindowsWereGrouped(t *testing.T) {
	p := boundaryPolicy()
	rng := rand.New(rand.NewPCG(5, 5))
	whole := NewEvidence(p, testArms()).Segmented(20)
	parts := whole
	for index := range int64(300) {
		c := tenants(rng, index, 200, 1000, 0.02, 0.2)
		whole = whole.Update(p, c)
		split := Closed{Shares: c.Shares}
		for i := range slices.Backward(c.Windows) {
			a, b := c.Windows[i], c.Windows[i]
			a.Requests, a.Errors, a.Segments = 0, 0, nil
			for k, s := range b.Segments {
				if k%2 == 0 {
					a.Segments.add(s)
					a.Requests += s.Requests
					a.Errors += s.Errors
				}
			}
			b.Requests, b.Errors, b.Segments = b.Requests-a.Requests, b.Errors-a.Errors, nil
			for k, s := range c.Windows[i].Segments {
				if k%2 == 1 {
					b.Segments.add(s)
				}
			}
			split.Windows = append(split.Windows, b, a)
		}
		parts = parts.Update(p, split)
	}
	a, err := json.Marshal(whole)
	require.NoError(t, err)
	b, err := json.Marshal(parts)
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
	require.NotEmpty(t, whole.Segments.Each)
}

func TestWithoutACompareThereAreNoSegments(t *testing.T) {
	p := boundaryPolicy()
	p.Metrics[0].VersusStable = nil
	require.Nil(t, NewEvidence(p, testArms()).Segmented(20).Segments)
	require.Nil(t, NewEvidence(boundaryPolicy(), testArms()).Segmented(0).Segments)
}

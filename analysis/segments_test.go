package analysis

import (
	"encoding/json"
	"fmt"
	"math"
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

// speeds are tenants' answers on four pods of either arm; those of tenant-0, with 2% of
// the traffic, take so many times as long at the candidate.
func speeds(rng *rand.Rand, index int64, share uint32, slower float64) Closed {
	var ws []Window
	for pod := range 8 {
		ws = append(ws, windowOf(index, []string{"v1", "v2"}[pod/4], 1, fmt.Sprintf("pod-%d", pod), 0, 0))
	}
	for range poisson(rng, 200*WindowLength.Seconds()) {
		r := Request{Segment: fmt.Sprintf("tenant-%d", 1+rng.IntN(4))}
		if rng.Float64() < 0.02 {
			r.Segment = "tenant-0"
		}
		pod, took := rng.IntN(4), 0.04*math.Exp(0.3*rng.NormFloat64())
		if rng.Float64() < float64(share)/1e4 {
			pod += 4
			if r.Segment == "tenant-0" {
				took *= slower
			}
		}
		r.Duration = time.Duration(took * float64(time.Second))
		ws[pod].count(r, 0, 0)
	}
	return Closed{Windows: ws, Shares: map[uint64]uint32{1: share}}
}

func timed(seed uint64, e Evidence, p config.PolicySpec, slower float64, whole time.Duration) (Assessment, Evidence) {
	rng := rand.New(rand.NewPCG(seed, 4))
	var a Assessment
	for index := range int64(whole / WindowLength) {
		e = e.Update(p, speeds(rng, index, 2500, slower))
		if index%40 == 0 {
			if a = Judge(p, e, time.Unix(0, 0)); a.Verdict == Harmful {
				break
			}
		}
	}
	return a, e
}

func TestAVersionThatIsSlowForOneTenantIsNamed(t *testing.T) {
	p := fullPolicy()
	p.Warmup = config.Warmup{}
	found, missed := 0, 0
	for seed := range uint64(4) {
		all := NewEvidence(p, testArms())
		a, e := timed(seed, all.Segmented(10), p, 1.5, 6*time.Minute)
		if a.Verdict == Harmful {
			found++
			require.Equal(t, "tenant-0", a.Why.Segment, a.Reason)
			require.Contains(t, a.Reason, "of tenant-0 pod-rank")
		}
		if a, _ := timed(seed, all, p, 1.5, 6*time.Minute); a.Verdict != Harmful {
			missed++
		}
		var loaded Evidence
		require.NoError(t, json.Unmarshal([]byte(bytesOf(t, e)), &loaded))
		require.Equal(t, Judge(p, e, time.Unix(0, 0)), Judge(p, loaded, time.Unix(0, 0)))
		t.Logf("with 5 segments, evidence is %d bytes", len(bytesOf(t, e)))
	}
	assert.Equal(t, 4, found)
	assert.Equal(t, 4, missed, "all requests together hide it")
}

func TestSegmentsOfAnEquallyFastCandidateAreNotBlamed(t *testing.T) {
	p := fullPolicy()
	p.Warmup = config.Warmup{}
	for seed := range uint64(10) {
		a, _ := timed(100+seed, NewEvidence(p, testArms()).Segmented(10), p, 1, 2*time.Minute)
		require.NotEqual(t, Harmful, a.Verdict, a.Reason)
	}
}

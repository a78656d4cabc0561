package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAStratumCostsNoMoreWhateverItCounts(t *testing.T) {
	for _, tt := range []struct {
		name              string
		stable, candidate rate
	}{
		{"errors by the hundred thousand million", rate{N: 1e12, Bad: 1e11}, rate{N: 1e12, Bad: 1e11}},
		{"nothing but errors of stable", rate{N: 1e9, Bad: 1e9}, rate{N: 1e9, Bad: 1e6}},
		{"a small candidate", rate{N: largestCount, Bad: 1e6}, rate{N: 10, Bad: 3}},
		{"one choice too many", rate{N: 1e6, Bad: mostChoices}, rate{N: 1e6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := stratum{stable: sums{requests: tt.stable.N, errors: tt.stable.Bad}, candidate: sums{requests: tt.candidate.N, errors: tt.candidate.Bad}}
			for _, better := range []side{ofStable, ofCandidate} {
				of := s.sampled(better)
				assert.LessOrEqual(t, of.choices(), int64(mostChoices+2))
				assert.Positive(t, of.choices())
				assert.InDelta(t, s.candidate.rate().value(), of.candidate.rate().value(), .01)
				assert.InDelta(t, s.stable.rate().value(), of.stable.rate().value(), .01)
			}
		})
	}
}

func TestWhatFitsIsCountedWhole(t *testing.T) {
	s := stratum{stable: sums{requests: 1e9, errors: mostChoices - 1}, candidate: sums{requests: 1e6}}
	assert.Equal(t, s, s.sampled(ofStable))
	assert.Equal(t, s, s.sampled(ofCandidate))
}

func TestASampleOfManyEqualCountsIsNoEvidenceInTheMean(t *testing.T) {
	const runs, n = 500, 20_000
	rng := rand.New(rand.NewPCG(1, 4))
	errors := func() int64 { return n/2 + int64(math.Round(rng.NormFloat64()*math.Sqrt(n)/2)) }
	g := newOddsGrid(1, 1)
	var harm, safe [3]float64
	for range runs {
		var o odds
		o.add(&g, stratum{stable: sums{requests: n, errors: errors()}, candidate: sums{requests: n, errors: errors()}})
		for k := range harm {
			harm[k] += expo(o.Harm.Open[k].float()) / runs
			safe[k] += expo(o.Safe.Open[k].float()) / runs
		}
	}
	t.Logf("harm %.3f, safe %.3f", harm, safe)
	for k := range harm {
		assert.LessOrEqual(t, harm[k], 1.)
		assert.LessOrEqual(t, safe[k], 1.)
	}
}

func TestCountersThatGrowByAnyNumberRollBackAtOnce(t *testing.T) {
	c := newCounters(1)
	c.policy.Metrics[0].SLO = nil
	c.evidence = NewEvidence(c.policy, testArms())
	c.evidence.Candidate, c.evidence.Spans = rate{N: 1}, 1
	var a Assessment
	for i := range int64(12) {
		a = c.measure(Measurement{
			At:     tripDawn.Add(time.Duration(i) * time.Second),
			Stable: countsAt(rate{N: 1e12 * i, Bad: 1e10 * i}), Candidate: countsAt(rate{N: 1e12 * i, Bad: 1e11 * i}),
		})
	}
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
}

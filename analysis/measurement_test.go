package analysis

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// ownPolicy judges one metric from elsewhere and nothing else.
func ownPolicy(counts bool) config.PolicySpec { //nolint:revive // a metric is one or the other
	m := config.Metric{
		Name: "own", Prometheus: &config.Prometheus{URL: "http://p", Value: "v"},
		VersusStable: &config.VersusStable{RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5}},
	}
	if counts {
		limit := config.Percent(10_000)
		m.Prometheus = &config.Prometheus{URL: "http://p", Bad: "b", Total: "t"}
		m.SLO, m.VersusStable = &config.SLO{Max: &limit}, &config.VersusStable{RollbackIf: 1.5, PromoteIf: config.Below{Ratio: 2, OrSLO: true}}
	}
	return config.PolicySpec{Metrics: []config.Metric{m}}.Default()
}

// counters are two versions' counters as they grow.
type counters struct {
	rng               *rand.Rand
	evidence          Evidence
	policy            config.PolicySpec
	at                time.Time
	stable, candidate rate
}

func newCounters(seed uint64) *counters {
	p := ownPolicy(true)
	e := NewEvidence(p, testArms())
	e.Candidate, e.Spans = rate{N: 1}, 1 // the candidate has served
	return &counters{rng: rand.New(rand.NewPCG(seed, 9)), evidence: e, policy: p, at: tripDawn}
}

func number(n int64) Reading { return Reading{Outcome: Read, Value: float64(n)} }

func countsAt(r rate) Measured { return Measured{Bad: number(r.Bad), Total: number(r.N)} }

// grow lets both count so much more, the bad ones by chance, and measures.
func (c *counters) grow(n int64, stable, candidate float64) Assessment {
	for range n {
		c.stable = c.stable.plus(rateOf(c.rng.Float64() < stable))
		c.candidate = c.candidate.plus(rateOf(c.rng.Float64() < candidate))
	}
	return c.measure(Measurement{Stable: countsAt(c.stable), Candidate: countsAt(c.candidate)})
}

func (c *counters) measure(m Measurement) Assessment {
	c.at = c.at.Add(15 * time.Second)
	m.Metric, m.At, m.Epoch = "own", c.at, max(m.Epoch, 7)
	c.evidence = c.evidence.Measure(c.policy, m)
	return Judge(c.policy, c.evidence, c.at)
}

func (c *counters) own() own { return c.evidence.Own[0] }

func TestCountsFromElsewhereRollBackAndPromote(t *testing.T) {
	for _, test := range []struct {
		name              string
		stable, candidate float64
		verdict           Verdict
		within            int // measurements
	}{
		{"as many bad as stable's promote", .002, .002, Healthy, 20},
		{"ten times as many roll back", .005, .05, Harmful, 10},
		{"above the slo, and stable too, holds", .05, .05, Undecided, 40},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCounters(1)
			var a Assessment
			for range test.within {
				if a = c.grow(200, test.stable, test.candidate); a.Verdict != Undecided {
					break
				}
			}
			assert.Equal(t, test.verdict, a.Verdict, a.Reason)
		})
	}
}

func TestEqualCountsAreBlamedNoMoreOftenThanStated(t *testing.T) {
	const runs = 200
	blamed := 0
	for seed := range uint64(runs) {
		c := newCounters(seed)
		c.policy.Confidence.FalseRollback = fivePercent
		c.policy.Metrics[0].VersusStable.RollbackIf = 1
		for range 40 {
			if c.grow(100, .008, .008).Verdict == Harmful {
				blamed++
				break
			}
		}
	}
	t.Logf("%d of %d", blamed, runs)
	assert.LessOrEqual(t, blamed, runs*6/100)
}

func TestNoAnswerIsNoHealth(t *testing.T) {
	good := Measured{Bad: number(0), Total: number(1000)}
	for _, test := range []struct {
		name string
		bad  Reading
		why  string
	}{
		{"NaN", Reading{Outcome: NotANumber}, "metric own says nothing in 3 measurements: the candidate's bad is no number"},
		{"no series", Reading{Outcome: Empty}, "metric own says nothing in 3 measurements: the candidate's bad has no series"},
		{"an old sample", Reading{Outcome: Stale}, "metric own says nothing in 3 measurements: the candidate's bad has no sample that is young enough"},
		{"an error", Reading{Outcome: Unread, Text: "refused"}, "metric own says nothing in 3 measurements: the candidate's bad cannot be read: refused"},
		{"a negative count", number(-1), "metric own says nothing in 3 measurements: the candidate's bad is below zero, or too large to be counted: -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCounters(1)
			c.measure(Measurement{Stable: good, Candidate: good})
			before := c.own()
			for n := range int64(3) {
				a := c.measure(Measurement{Stable: good, Candidate: Measured{Bad: test.bad, Total: number(2000)}})
				require.Equal(t, Undecided, a.Verdict)
				require.Equal(t, n == 2, a.Hold != "")
			}
			a := Judge(c.policy, c.evidence, c.at)
			assert.Equal(t, test.why, a.Hold)
			assert.Equal(t, Why{Kind: WhyUnmeasured, Metric: "own"}, a.Why)
			assert.Equal(t, before.Odds, c.own().Odds, "nothing was learnt")

			more := Measured{Bad: number(0), Total: number(2000)}
			a = c.measure(Measurement{Stable: more, Candidate: more})
			assert.Empty(t, a.Hold, "an answer ends it")
		})
	}
}

func TestCountsThatCannotBeHoldAndAreNamed(t *testing.T) {
	at := func(bad, total int64) Measured { return Measured{Bad: number(bad), Total: number(total)} }
	for _, test := range []struct {
		name              string
		stable, candidate func(i int64) Measured
		why               string
	}{
		{
			"bad and total are swapped", func(i int64) Measured { return at(500*i, i) }, func(i int64) Measured { return at(500*i, i) },
			"stable's bad grew by 500 and its total by 1: the numerator is above the denominator",
		},
		{
			"the candidate is not counted", func(i int64) Measured { return at(i, 500*i) }, func(int64) Measured { return at(3, 40) },
			"the candidate's total does not grow",
		},
		{
			"a gauge for a counter", func(i int64) Measured { return at(i, 500*i) }, func(i int64) Measured { return at(0, 900-100*i) },
			"the candidate's counters fell, bad by 0 and total by 100: they began anew, or are none",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCounters(1)
			for i := range int64(4) {
				a := c.measure(Measurement{Stable: test.stable(i), Candidate: test.candidate(i)})
				require.Equal(t, Undecided, a.Verdict)
				require.Equal(t, "own", a.Why.Metric)
				require.Zero(t, a.Why.Requests, "nobody knows how many more it takes")
			}
			a := Judge(c.policy, c.evidence, c.at)
			require.Equal(t, "metric own says nothing in 3 measurements: "+test.why, a.Hold)
			require.Equal(t, a.Hold, a.Reason)
			require.Equal(t, WhyUnmeasured, a.Why.Kind)
		})
	}
}

// Its silence must not hide what the other tests have found.
func TestHarmIsHarmWhateverAnotherMetricSaysNothingOf(t *testing.T) {
	c := newCounters(1)
	for range 10 {
		c.grow(200, .005, .1)
	}
	for range 5 {
		c.measure(Measurement{Stable: Measured{Bad: Reading{Outcome: Empty}}})
	}
	require.Equal(t, Harmful, Judge(c.policy, c.evidence, c.at).Verdict)
}

func TestCountersThatBeginAnewOrSpanTwoSplitsAreLeftOut(t *testing.T) {
	c := newCounters(1)
	c.measure(Measurement{Stable: countsAt(rate{N: 1000, Bad: 1}), Candidate: countsAt(rate{N: 1000, Bad: 900})})
	require.Zero(t, c.own().Readings, "what was before the first reading is unknown")
	c.measure(Measurement{Stable: countsAt(rate{N: 1100, Bad: 1}), Candidate: countsAt(rate{N: 100, Bad: 90})})
	require.Zero(t, c.own().Readings, "the candidate's began anew")
	c.measure(Measurement{Epoch: 8, Stable: countsAt(rate{N: 1200, Bad: 1}), Candidate: countsAt(rate{N: 200, Bad: 180})})
	require.Zero(t, c.own().Readings, "another split")
	c.measure(Measurement{Epoch: 8, Stable: countsAt(rate{N: 1300, Bad: 2}), Candidate: countsAt(rate{N: 250, Bad: 190})})
	require.Equal(t, rate{N: 100, Bad: 1}, c.own().Stable)
	require.Equal(t, rate{N: 50, Bad: 10}, c.own().Candidate)
	before := c.evidence
	late := Measurement{Metric: "own", At: c.at, Epoch: 8, Stable: countsAt(rate{N: 9000}), Candidate: countsAt(rate{N: 9000})}
	require.Equal(t, before, c.evidence.Measure(c.policy, late), "a measurement counts once")
}

func TestAGaugeSaysOnlyWhoseIsLarger(t *testing.T) {
	run := func(seed uint64, ratio float64, measurements int) (Assessment, int) {
		rng := rand.New(rand.NewPCG(seed, 10))
		p := ownPolicy(false)
		e := NewEvidence(p, testArms())
		e.Candidate, e.Spans = rate{N: 1}, 1
		var a Assessment
		for n := range measurements {
			gauge := func(mean float64) Measured {
				return Measured{Value: Reading{Outcome: Read, Value: mean * (.8 + .4*rng.Float64())}}
			}
			e = e.Measure(p, Measurement{Metric: "own", At: tripDawn.Add(time.Duration(n+1) * time.Minute), Stable: gauge(10), Candidate: gauge(10 * ratio)})
			if a = Judge(p, e, tripDawn); a.Verdict != Undecided {
				return a, n + 1
			}
		}
		return a, measurements
	}
	a, n := run(1, 2, 100)
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
	assert.Greater(t, n, 8, "each reading is worth ln 2 at most")
	a, _ = run(1, 1, 100)
	assert.Equal(t, Healthy, a.Verdict, a.Reason)
	blamed := 0
	for seed := range uint64(200) {
		if a, _ := run(seed, 1.1, 100); a.Verdict == Harmful {
			blamed++
		}
	}
	assert.LessOrEqual(t, blamed, 3, "exactly at the tolerance")
}

func TestMeasurementsSurviveARestartToTheByte(t *testing.T) {
	c := newCounters(2)
	for range 3 {
		c.grow(100, .1, .1)
	}
	saved, err := json.Marshal(c.evidence)
	require.NoError(t, err)
	var loaded Evidence
	require.NoError(t, json.Unmarshal(saved, &loaded))
	require.Equal(t, c.evidence.Own, loaded.Own)
}

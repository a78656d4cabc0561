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

// errorSuspicion is what three failures of a new candidate bring about.
func errorSuspicion() Suspicion {
	return Suspicion{
		At: tripDawn, Since: tripDawn.Add(-time.Second), Metric: "errors", N: 3, Bad: 3, Limit: 5000, ErrorLimit: 5000,
		MedianEdge: config.Duration(ms(50)), TailEdge: config.Duration(ms(80)),
	}
}

func slowSuspicion() Suspicion {
	s := errorSuspicion()
	s.Metric, s.N, s.Bad, s.Limit = "latency-p50", 15, 14, 500_000
	return s
}

// mirror is a settlement with what was mirrored to it, one request per interval.
type mirror struct {
	settlement Settlement
	now        time.Time
}

func newMirror(s Suspicion, trip int) *mirror {
	return &mirror{settlement: NewSettlement(standard(), testArms(), s, trip), now: s.At}
}

func (m *mirror) request(version, pod string, took time.Duration, outcome Outcome) Request {
	return Request{
		Route: testArms().Route, Version: version, Pod: pod, Attempt: 1, Shadow: version == "v2",
		Start: m.now, Duration: took, Outcome: outcome,
	}
}

// until mirrors a request per interval until something is ruled, n at most.
func (m *mirror) until(n int, interval time.Duration, next func(i int) Request) Ruling {
	var r Ruling
	for i := range n {
		m.now = m.now.Add(interval)
		m.settlement.Add(next(i))
		m.settlement.Add(m.request("v1", "a:1", ms(40), Succeeded))
		if r = m.settlement.Judge(standard(), m.now); r.Outcome != RulingOpen {
			break
		}
	}
	return r
}

func TestSettlement(t *testing.T) {
	constant := func(m *mirror, took time.Duration, o Outcome) func(int) Request {
		return func(i int) Request { return m.request("v2", twoPods()[i%2], took, o) }
	}
	for _, test := range []struct {
		name     string
		of       Suspicion
		interval time.Duration
		next     func(m *mirror) func(int) Request
		outcome  RulingOutcome
		most     int64 // mirrored requests
		within   time.Duration
	}{
		{"confirms what fails everything with a few requests", errorSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return constant(m, ms(2), Failed)
		}, RulingConfirmed, 4, 2 * time.Second},
		{"confirms what is twice as slow with a few dozen", slowSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return constant(m, ms(80), Succeeded)
		}, RulingConfirmed, 40, 20 * time.Second},
		{"confirms slowness whatever it was suspected of", errorSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return constant(m, ms(200), Succeeded)
		}, RulingConfirmed, 40, 20 * time.Second},
		{"clears what answers well again, at one request per second within its time", errorSuspicion(), time.Second, func(m *mirror) func(int) Request {
			return constant(m, ms(40), Succeeded)
		}, RulingCleared, 60, 50 * time.Second},
		{"clears what is fast again", slowSuspicion(), time.Second, func(m *mirror) func(int) Request {
			return constant(m, ms(40), Succeeded)
		}, RulingCleared, 60, 50 * time.Second},
		{"leaves the failures of one pod of two open", errorSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return func(i int) Request {
				if i%2 == 0 {
					return m.request("v2", "c:1", ms(2), Failed)
				}
				return m.request("v2", "d:1", ms(40), Succeeded)
			}
		}, RulingOpen, 150, time.Minute},
		{"leaves too few requests open", errorSuspicion(), 10 * time.Second, func(m *mirror) func(int) Request {
			return constant(m, ms(40), Succeeded)
		}, RulingOpen, 6, time.Minute},
		{"passes live requests over", errorSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return func(int) Request {
				r := m.request("v2", "c:1", ms(2), Failed)
				r.Shadow = false
				return r
			}
		}, RulingOpen, 0, time.Minute},
		{"passes over what began before the trip", errorSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return func(int) Request {
				r := m.request("v2", "c:1", time.Hour, Failed)
				r.Start = tripDawn.Add(-time.Millisecond)
				return r
			}
		}, RulingOpen, 0, time.Minute},
		{"passes what clients did over", errorSuspicion(), ms(400), func(m *mirror) func(int) Request {
			return constant(m, ms(2), ClientFault)
		}, RulingOpen, 0, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMirror(test.of, 1)
			r := m.until(int(time.Minute/test.interval), test.interval, test.next(m))
			assert.Equal(t, test.outcome, r.Outcome, r.Reason)
			assert.LessOrEqual(t, r.N, test.most)
			assert.LessOrEqual(t, m.now.Sub(tripDawn), test.within)
			assert.NotEmpty(t, r.Reason)
		})
	}
}

func TestAConfirmedTripNamesWhatConfirmedIt(t *testing.T) {
	suspicion := slowSuspicion()
	suspicion.Metric, suspicion.Limit = "latency-p95", 50_000
	m := newMirror(suspicion, 1)
	r := m.until(400, 250*time.Millisecond, func(i int) Request {
		return m.request("v2", twoPods()[i%2], ms(70), Succeeded) // beyond the median's edge, not beyond the tail's
	})
	require.Equal(t, RulingConfirmed, r.Outcome)
	require.Contains(t, r.Reason, "took longer than 50ms, stable's p50 and the tolerance; evidence of harm is")
}

func TestSettlementDoesNotBlameTheCandidateForWhatStableDoesToo(t *testing.T) {
	m := newMirror(errorSuspicion(), 1)
	r := m.until(50, ms(400), func(i int) Request {
		m.settlement.Add(m.request("v1", "a:1", ms(2), Failed))
		return m.request("v2", twoPods()[i%2], ms(2), []Outcome{Failed, Succeeded}[i/2%2])
	})
	assert.NotEqual(t, RulingConfirmed, r.Outcome, r.Reason)
}

// The quick ones of a second come first. They must not stand for it.
func TestTheLatenciesOfAPodAndSecondAreOneRequestInTheirProportion(t *testing.T) {
	m := newMirror(slowSuspicion(), 1)
	for i := range 30 {
		m.now = tripDawn.Add(time.Duration(3+i/3) * time.Second)
		m.settlement.Add(m.request("v2", "c:1", []time.Duration{ms(40), ms(60), ms(90)}[i%3], Succeeded))
	}
	all := m.settlement.weighed(everyPod)
	assert.InDelta(t, 10, all[suspectMedian].n, 1e-9)
	assert.InDelta(t, 20./3, all[suspectMedian].bad, 1e-9, "above 50ms")
	assert.InDelta(t, 10./3, all[suspectTail].bad, 1e-9, "above 80ms")
	assert.Equal(t, rate{N: 30, Bad: 20}, m.settlement.counted().Median)
}

func TestEveryFurtherTripNeedsMoreEvidence(t *testing.T) {
	p := standard()
	spent := 0.0
	for trip := 1; trip <= 20; trip++ {
		s := NewSettlement(p, testArms(), errorSuspicion(), trip)
		spent += 1 / expo(s.needed(p))
	}
	assert.LessOrEqual(t, spent, SettleShare*p.Confidence.FalseRollback.Fraction())
}

func TestASettlementSurvivesARestartToTheByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	m := newMirror(errorSuspicion(), 2)
	again := m.settlement
	for i := range 200 {
		m.now = m.now.Add(ms(100))
		r := m.request("v2", twoPods()[rng.IntN(2)], ms(20+rng.IntN(80)), Outcome(rng.IntN(2)))
		m.settlement.Add(r)
		text, err := json.Marshal(again)
		require.NoError(t, err)
		again = Settlement{}
		require.NoError(t, json.Unmarshal(text, &again))
		again.Add(r)
		if i%20 == 0 {
			assert.Equal(t, m.settlement.Judge(standard(), m.now), again.Judge(standard(), m.now))
		}
	}
	assert.Equal(t, m.settlement, again)
}

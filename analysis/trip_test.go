package analysis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

var tripDawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bench feeds a Watch with regular traffic and looks every 50 ms.
type bench struct {
	watch   *Watch
	now     time.Time
	tripped *Suspicion
	after   time.Duration // of the first trip, from tripDawn
}

func newBench(p config.PolicySpec, weight uint32) *bench {
	b := &bench{watch: NewWatch(p, testArms()), now: tripDawn}
	b.watch.Split(config.Split{Shares: config.Carve("v1", "v2", weight, 0)})
	return b
}

// request ends now.
func (b *bench) request(version, pod string, took time.Duration, outcome Outcome) Request {
	return Request{
		Route: testArms().Route, Version: version, Pod: pod, Attempt: 1,
		Start: b.now.Add(-took), Duration: took, Outcome: outcome,
	}
}

// pass lets time pass with so many answers of stable's per second, and what else
// comes every 50 ms.
func (b *bench) pass(d time.Duration, rate int, each func(i int)) {
	for i := range int(d / (50 * time.Millisecond)) {
		b.now = b.now.Add(50 * time.Millisecond)
		for range rate / 20 {
			b.watch.Add(b.request("v1", "a:1", ms(40), Succeeded))
		}
		if each != nil {
			each(i)
		}
		b.look()
	}
}

func (b *bench) look() {
	if s, ok := b.watch.Look(b.now); ok && b.tripped == nil {
		b.tripped, b.after = &s, b.now.Sub(tripDawn)
	}
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// answers makes candidate requests every so many beats, on pods in turn.
func (b *bench) answers(every int, pods []string, took time.Duration, outcome Outcome) func(int) {
	return func(i int) {
		if i%every == 0 {
			b.watch.Add(b.request("v2", pods[i/every%len(pods)], took, outcome))
		}
	}
}

func twoPods() []string { return []string{"c:1", "d:1"} }

func standard() config.PolicySpec { return config.Standard() }

func TestWatchTripsOn(t *testing.T) {
	for _, test := range []struct {
		name   string
		run    func(b *bench)
		metric string
		within time.Duration // of the fault, which begins with the last pass
		most   int64         // bad requests
	}{
		{
			"a new candidate that fails everything, after two failures",
			func(b *bench) { b.pass(5*time.Second, 40, b.answers(8, twoPods(), ms(2), Failed)) },
			"errors", time.Second, 2,
		},
		{
			"a candidate that fails everything from now on, after four failures at most",
			func(b *bench) {
				b.pass(5*time.Minute, 40, b.answers(8, twoPods(), ms(40), Succeeded))
				b.pass(5*time.Second, 40, b.answers(8, twoPods(), ms(2), Failed))
			},
			"errors", 2 * time.Second, 4,
		},
		{
			"a candidate with one pod that fails everything",
			func(b *bench) { b.pass(5*time.Second, 40, b.answers(8, []string{"c:1"}, ms(2), Failed)) },
			"errors", time.Second, 2,
		},
		{
			"one failure in twenty where stable has next to none",
			func(b *bench) {
				b.pass(time.Minute, 200, b.answers(2, twoPods(), ms(40), Succeeded))
				b.pass(30*time.Second, 200, func(i int) {
					b.answers(2, twoPods(), ms(40), Succeeded)(i)
					if i%39 == 0 {
						b.watch.Add(b.request("v2", twoPods()[i/39%2], ms(2), Failed))
					}
				})
			},
			"errors", 25 * time.Second, 12,
		},
		{
			"answers twice as slow as stable's",
			func(b *bench) {
				b.pass(10*time.Second, 40, nil)
				b.pass(20*time.Second, 40, b.answers(8, twoPods(), ms(80), Succeeded))
			},
			"latency-p95", 12 * time.Second, 30,
		},
		{
			"time-outs, which are errors as well as slow",
			func(b *bench) {
				b.pass(10*time.Second, 40, nil)
				b.pass(20*time.Second, 40, b.answers(8, twoPods(), ms(40), TimedOut))
			},
			"errors", 2 * time.Second, 3,
		},
		{
			"a candidate that hangs, so that clients lose patience",
			func(b *bench) {
				b.pass(10*time.Second, 40, nil)
				b.pass(20*time.Second, 40, b.answers(8, twoPods(), time.Second, Abandoned))
			},
			"latency-p95", 12 * time.Second, 30,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(standard(), 500)
			b.pass(2*time.Second, 40, nil)
			test.run(b)
			require.NotNil(t, b.tripped)
			assert.Equal(t, test.metric, b.tripped.Metric)
			assert.LessOrEqual(t, b.tripped.Bad, test.most)
			assert.GreaterOrEqual(t, b.tripped.LogE, b.tripped.LogNeeded)
			assert.LessOrEqual(t, b.tripped.At.Sub(b.tripped.Since), test.within+time.Second)
		})
	}
}

func TestWatchDoesNotTripOn(t *testing.T) {
	alternate := func(good, bad func(int), every int) func(int) {
		return func(i int) {
			if i/8%every == 0 {
				bad(i)
				return
			}
			good(i)
		}
	}
	for _, test := range []struct {
		name string
		run  func(b *bench)
	}{
		{"one failure", func(b *bench) {
			b.watch.Add(b.request("v2", "c:1", ms(2), Failed))
			b.pass(5*time.Second, 40, nil)
		}},
		{"a pod that fails while the others answer", func(b *bench) {
			b.pass(5*time.Second, 40, func(i int) {
				b.answers(4, []string{"c:1"}, ms(2), Failed)(i)
				b.answers(4, []string{"d:1"}, ms(40), Succeeded)(i)
			})
		}},
		{"an error rate within the limit", func(b *bench) {
			b.pass(5*time.Minute, 40, alternate(b.answers(8, twoPods(), ms(40), Succeeded), b.answers(8, twoPods(), ms(2), Failed), 251))
		}},
		{"failures that stable has too", func(b *bench) {
			b.pass(time.Minute, 20, func(int) { b.watch.Add(b.request("v1", "a:1", ms(2), Failed)) })
			b.pass(time.Minute, 20, func(i int) {
				b.watch.Add(b.request("v1", "a:1", ms(2), Failed))
				b.answers(8, twoPods(), ms(2), Failed)(i)
				b.answers(8, twoPods(), ms(40), Succeeded)(i)
			})
		}},
		{"answers as fast as stable's", func(b *bench) {
			b.pass(2*time.Minute, 40, b.answers(8, twoPods(), ms(40), Succeeded))
		}},
		{"answers a fifth slower than stable's", func(b *bench) {
			b.pass(2*time.Minute, 40, b.answers(8, twoPods(), ms(48), Succeeded))
		}},
		{"the burst of one full queue", func(b *bench) {
			b.pass(30*time.Second, 40, b.answers(2, twoPods(), ms(40), Succeeded))
			for range 30 {
				b.watch.Add(b.request("v2", "c:1", ms(400), Succeeded))
			}
			b.pass(30*time.Second, 40, b.answers(2, twoPods(), ms(40), Succeeded))
		}},
		{"fast failures, as if they were fast answers", func(b *bench) {
			b.pass(30*time.Second, 40, func(i int) {
				b.answers(1, twoPods(), ms(50), Succeeded)(i)
				b.answers(400, twoPods(), ms(1), Failed)(i)
			})
		}},
		{"clients that err or leave", func(b *bench) {
			b.pass(20*time.Second, 40, b.answers(8, twoPods(), ms(2), ClientFault))
			b.pass(20*time.Second, 40, b.answers(8, twoPods(), ms(20), Abandoned))
		}},
		{"clients that lose patience with stable as often", func(b *bench) {
			b.pass(2*time.Minute, 40, func(i int) {
				b.answers(8, twoPods(), ms(40), Succeeded)(i)
				if i%80 == 0 {
					b.watch.Add(b.request("v1", "a:1", time.Second, Abandoned))
				}
				if i%160 == 0 {
					b.watch.Add(b.request("v2", twoPods()[i/160%2], time.Second, Abandoned))
				}
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(standard(), 500)
			b.pass(5*time.Second, 40, nil)
			test.run(b)
			if b.tripped != nil {
				t.Errorf("tripped after %s: %s", b.after, b.tripped.Reason())
			}
		})
	}
}

func TestWatchCountsOnlyEvidence(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Request)
	}{
		{"mirrored copies", func(r *Request) { r.Shadow = true }},
		{"retries", func(r *Request) { r.Attempt = 2 }},
		{"other versions", func(r *Request) { r.Version = "v0" }},
		{"other inference routes", func(r *Request) { r.Route.Name = "other" }},
	} {
		t.Run("not "+test.name, func(t *testing.T) {
			b := newBench(standard(), 500)
			b.pass(10*time.Second, 40, func(i int) {
				r := b.request("v2", twoPods()[i%2], ms(2), Failed)
				test.change(&r)
				b.watch.Add(r)
			})
			assert.Nil(t, b.tripped)
		})
	}
}

// Failures come at once, answers after two seconds. Nobody knows yet that nine of
// ten requests will be answered well.
func TestAnswersNotYetOutKeepFastFailuresFromLookingLikeNothingElse(t *testing.T) {
	slow := func(weight uint32) *bench {
		b := newBench(standard(), weight)
		for i := range 400 {
			b.now = tripDawn.Add(time.Duration(i) * ms(50))
			b.watch.Add(b.request("v1", "a:1", 2*time.Second, Succeeded))
			b.look()
		}
		for i := range 2 {
			b.now = b.now.Add(ms(500))
			b.watch.Add(b.request("v2", twoPods()[i%2], ms(1), Failed))
			b.look()
		}
		return b
	}
	assert.Nil(t, slow(5000).tripped, "twenty of the candidate's answers are expected")
	assert.NotNil(t, slow(1).tripped, "next to none is expected, so two failures are all there is")
}

// Where answers take ten seconds, the first seconds of all bring failures alone.
func TestNothingTripsBeforeStableShowsHowLongAnswersTake(t *testing.T) {
	run := func(answers time.Duration) *bench {
		b := newBench(standard(), 5000)
		for i := range 200 {
			b.now = tripDawn.Add(time.Duration(i) * ms(50))
			if took := min(answers, b.now.Sub(tripDawn)); took == answers || i%40 == 0 {
				b.watch.Add(b.request("v1", "a:1", took, Succeeded)) // a few are quick
			}
			if i == 60 || i == 70 || i == 80 {
				b.watch.Add(b.request("v2", twoPods()[i/10%2], ms(1), Failed))
			}
			b.look()
		}
		return b
	}
	assert.Nil(t, run(10*time.Second).tripped)
	assert.NotNil(t, run(ms(40)).tripped)
}

func TestAClockFromTheFutureDoesNotHideAFault(t *testing.T) {
	b := newBench(standard(), 500)
	b.pass(2*time.Second, 40, nil)
	r := b.request("v2", "c:1", ms(40), Succeeded)
	r.Start = r.Start.Add(time.Hour)
	b.watch.Add(r)
	b.pass(2*time.Second, 40, b.answers(8, twoPods(), ms(2), Failed))
	assert.NotNil(t, b.tripped)
}

func TestAPolicyWithoutLatencyTripsOnNone(t *testing.T) {
	b := newBench(errorPolicy(), 500)
	b.pass(10*time.Second, 40, nil)
	b.pass(time.Minute, 40, b.answers(8, twoPods(), time.Second, Succeeded))
	assert.Nil(t, b.tripped)
}

func TestASuspicionSaysWhatWasSeen(t *testing.T) {
	b := newBench(standard(), 500)
	b.pass(10*time.Second, 40, nil)
	b.pass(20*time.Second, 40, b.answers(8, twoPods(), ms(80), Succeeded))
	require.NotNil(t, b.tripped)
	assert.Regexp(t, `^\d+ of \d+ candidate requests within [0-9.]+s took longer than [0-9.]+ms, stable's p95 and the tolerance; 5% would be no surprise$`, b.tripped.Reason())
}

func TestErrorLimit(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules errorRules
		seen  rate
		want  float64
	}{
		{"is the SLO before stable was seen", errorRules{slo: 0.01, ratio: 1.5, floor: 0.002}, rate{}, 0.01},
		{"is the ratio to a good stable", errorRules{slo: 0.01, ratio: 1.5}, rate{N: 9900, Bad: 19}, 0.003},
		{"is the floor for a very good stable", errorRules{slo: 0.01, ratio: 1.5, floor: 0.002}, rate{N: 1_000_000}, 0.002},
		{"is never below stable's own rate", errorRules{slo: 0.01}, rate{N: 9900, Bad: 299}, 0.03},
		{"needs no SLO", errorRules{ratio: 2}, rate{N: 9900, Bad: 99}, 0.02},
		{"is none without either", errorRules{}, rate{N: 100, Bad: 50}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.InDelta(t, test.want, test.rules.limit(test.seen), 1e-9)
		})
	}
}

package analysis_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
)

// epoch is on a window's edge.
func epoch() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// at is a first attempt on v1 that started after epoch.
func at(start, duration time.Duration, o analysis.Outcome) analysis.Request {
	return analysis.Request{
		Version: "v1", Epoch: 7, Pod: "10.0.0.1:80", Attempt: 1,
		Start: epoch().Add(start), Duration: duration, Outcome: o,
	}
}

func buckets(latencies ...time.Duration) (b analysis.Buckets) {
	for _, d := range latencies {
		b.Add(d)
	}
	return b
}

func TestAWindowClosesOnceAtItsAge(t *testing.T) {
	bins := analysis.NewBins(epoch(), ms(100))
	bins.Add(at(ms(10), ms(5), analysis.Succeeded))
	bins.Add(at(ms(249), ms(6), analysis.Failed))
	bins.Add(at(ms(250), ms(7), analysis.Succeeded))

	assert.Empty(t, bins.Close(epoch().Add(ms(250+100+150)-1)), "the age and the log delay are not over")
	closed := bins.Close(epoch().Add(ms(250 + 100 + 150)))
	require.Len(t, closed, 1)
	first := analysis.IndexAt(epoch())
	assert.Equal(t, analysis.Window{
		WindowKey: analysis.WindowKey{Index: first, Version: "v1", Epoch: 7, Pod: "10.0.0.1:80"},
		Requests:  2, Errors: 1, Times: analysis.Times{Latencies: buckets(ms(5))},
	}, closed[0])
	assert.Equal(t, first, bins.Closed())
	assert.Empty(t, bins.Close(epoch().Add(ms(500))), "closed once")
	assert.Len(t, bins.Close(epoch().Add(ms(750))), 1)
}

func ofTenant(r analysis.Request) analysis.Request {
	r.Segment = "acme"
	return r
}

func firstByte(r analysis.Request, after time.Duration) analysis.Request {
	r.FirstByte = after
	return r
}

func perToken(r analysis.Request) analysis.Request {
	r.PerToken = ms(2)
	return r
}

func TestWhatARequestCountsAs(t *testing.T) {
	key := analysis.WindowKey{Index: analysis.IndexAt(epoch()), Version: "v1", Epoch: 7, Pod: "10.0.0.1:80"}
	retry := at(0, ms(5), analysis.Failed)
	retry.Attempt = 2
	pinned := at(0, ms(5), analysis.Failed)
	pinned.Pinned = true
	unsent := at(0, ms(5), analysis.Failed)
	unsent.Attempt = 0
	running := firstByte(at(0, ms(5), analysis.Succeeded), ms(5))
	running.Running = true
	told := func(o analysis.Outcome) analysis.Request {
		r := firstByte(at(0, ms(50), o), ms(5))
		r.Told = true
		return r
	}
	for _, tt := range []struct {
		name string
		r    analysis.Request
		want *analysis.Window
	}{
		{"a success is a request and a latency", at(0, ms(5), analysis.Succeeded), &analysis.Window{Requests: 1, Times: analysis.Times{Latencies: buckets(ms(5))}}},
		{"a failure is an error and no latency", at(0, ms(5), analysis.Failed), &analysis.Window{Requests: 1, Errors: 1}},
		{"a failure without an attempt is an error", unsent, &analysis.Window{Requests: 1, Errors: 1}},
		{
			"a time-out is an error and slower than any limit", at(0, ms(5), analysis.TimedOut),
			&analysis.Window{
				Requests: 1, Errors: 1,
				Times: analysis.Times{
					Latencies:  analysis.Buckets{{Index: analysis.LastBucket, Count: 1}},
					FirstBytes: analysis.Buckets{{Index: analysis.LastBucket, Count: 1}},
				},
			},
		},
		{
			"a success whose first byte came early has both times", firstByte(at(0, ms(50), analysis.Succeeded), ms(5)),
			&analysis.Window{Requests: 1, Times: analysis.Times{Latencies: buckets(ms(50)), FirstBytes: buckets(ms(5))}},
		},
		{
			"a stream that broke off had its first byte", firstByte(at(0, ms(50), analysis.TimedOut), ms(5)),
			&analysis.Window{Requests: 1, Errors: 1, Times: analysis.Times{Latencies: analysis.Buckets{{Index: analysis.LastBucket, Count: 1}}, FirstBytes: buckets(ms(5))}},
		},
		{"a client that left is only counted as that", at(0, ms(5), analysis.Abandoned), &analysis.Window{Abandoned: 1}},
		{
			"a client that lost patience after its answer was due tells how slow that is at least", at(0, ms(1100), analysis.Abandoned),
			&analysis.Window{Abandoned: 1, Times: analysis.Times{Latencies: buckets(ms(1100)), FirstBytes: buckets(ms(1100))}},
		},
		{
			"a client that left a long stream saw its first byte", firstByte(at(0, ms(1100), analysis.Abandoned), ms(5)),
			&analysis.Window{Abandoned: 1, Times: analysis.Times{Latencies: buckets(ms(1100)), FirstBytes: buckets(ms(5))}},
		},
		{
			"a client that left after the first byte saw that", firstByte(at(0, ms(50), analysis.Abandoned), ms(5)),
			&analysis.Window{Abandoned: 1, Times: analysis.Times{FirstBytes: buckets(ms(5))}},
		},
		{
			"a success whose tokens are known has a time per token", perToken(at(0, ms(50), analysis.Succeeded)),
			&analysis.Window{Requests: 1, Times: analysis.Times{Latencies: buckets(ms(50)), PerToken: buckets(ms(2))}},
		},
		{
			"a failure has none", perToken(at(0, ms(50), analysis.Failed)),
			&analysis.Window{Requests: 1, Errors: 1},
		},
		{"one that runs has a first byte and no end", running, &analysis.Window{Begun: 1, Times: analysis.Times{FirstBytes: buckets(ms(5))}}},
		{
			"a success that was told of while it ran has no second first byte", told(analysis.Succeeded),
			&analysis.Window{Requests: 1, Told: 1, Times: analysis.Times{Latencies: buckets(ms(50))}},
		},
		{
			"nor has a time-out", told(analysis.TimedOut),
			&analysis.Window{Requests: 1, Told: 1, Errors: 1, Times: analysis.Times{Latencies: analysis.Buckets{{Index: analysis.LastBucket, Count: 1}}}},
		},
		{"nor has a client that left", told(analysis.Abandoned), &analysis.Window{Abandoned: 1, Told: 1}},
		{
			"a client of a segment that lost patience tells of the segment, too", ofTenant(at(0, ms(1100), analysis.Abandoned)),
			&analysis.Window{
				Abandoned: 1, Times: analysis.Times{Latencies: buckets(ms(1100)), FirstBytes: buckets(ms(1100))},
				Segments: analysis.SegmentCounts{{
					Name: "acme", Times: analysis.Times{Latencies: buckets(ms(1100)), FirstBytes: buckets(ms(1100))},
				}},
			},
		},
		{"one that left at once tells nothing", ofTenant(at(0, ms(5), analysis.Abandoned)), &analysis.Window{Abandoned: 1}},
		{"a client's fault is only counted as that", at(0, ms(5), analysis.ClientFault), &analysis.Window{ClientErrors: 1}},
		{"a retry counts nowhere", retry, nil},
		{"a tester's failure counts nowhere", pinned, nil},
		{"what started before the first window counts nowhere", at(-1, ms(150), analysis.Succeeded), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bins := analysis.NewBins(epoch(), time.Second)
			bins.Add(tt.r)
			closed := bins.Close(epoch().Add(time.Minute))
			if tt.want == nil {
				assert.Empty(t, closed)
				return
			}
			tt.want.WindowKey = key
			assert.Equal(t, []analysis.Window{*tt.want}, closed)
		})
	}
}

func TestALateRequestCountsOneAgeBeforeItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		duration time.Duration
		window   int64 // after the first
		late     int64
	}{
		{"not late at its age", ms(100), 0, 0},
		{"late, but in the window of its start", ms(101), 0, 1},
		{"late by a window", ms(100 + 250), 1, 1},
		{"late by a second", ms(100 + 1000), 4, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bins := analysis.NewBins(epoch(), ms(100))
			bins.Add(at(0, tt.duration, analysis.Failed))
			closed := bins.Close(epoch().Add(time.Minute))
			require.Len(t, closed, 1)
			assert.Equal(t, analysis.IndexAt(epoch())+tt.window, closed[0].Index)
			assert.Equal(t, tt.late, closed[0].Late)
		})
	}
}

func TestALateFirstByteOfOneThatRunsCountsOneAgeBeforeIt(t *testing.T) {
	bins := analysis.NewBins(epoch(), ms(100))
	r := firstByte(at(0, ms(1100), analysis.Succeeded), ms(1100))
	r.Running = true
	bins.Add(r)
	closed := bins.Close(epoch().Add(time.Minute))
	require.Len(t, closed, 1)
	assert.Equal(t, analysis.IndexAt(epoch())+4, closed[0].Index)
	assert.Equal(t, int64(1), closed[0].Begun)
}

func TestOneThatWaitsIsIssuedAtOnceAndSlowOnceItHasWaitedForLong(t *testing.T) {
	waits := func(d time.Duration) analysis.Request {
		r := at(0, d, analysis.Succeeded)
		r.ID, r.Running = "r", true
		return r
	}
	begins := firstByte(waits(ms(6500)), ms(6500))
	ends := func(o analysis.Outcome, d time.Duration) analysis.Request {
		r := at(0, d, o)
		r.ID = "r"
		return r
	}
	streamed := firstByte(ends(analysis.Succeeded, ms(9000)), ms(6500))
	streamed.Told = true
	slow := buckets(ms(6000)) // the first that was told of after more than 5 s
	for _, tt := range []struct {
		name string
		adds []analysis.Request
		want analysis.Window
	}{
		{"so far it is issued", []analysis.Request{waits(ms(1000)), waits(ms(2000))}, analysis.Window{Begun: 1}},
		{"it is slow when it has waited for longer than the patience", []analysis.Request{waits(ms(1000)), waits(ms(6000)), waits(ms(7000))}, analysis.Window{
			Begun: 1, Times: analysis.Times{Latencies: slow, FirstBytes: slow},
		}},
		{"that it times out is an error, and slow no second time", []analysis.Request{waits(ms(6000)), ends(analysis.TimedOut, 30*time.Second)}, analysis.Window{
			Begun: 1, Told: 1, Requests: 1, Errors: 1, Late: 1, Times: analysis.Times{Latencies: slow, FirstBytes: slow},
		}},
		{"its client may leave", []analysis.Request{waits(ms(6000)), ends(analysis.Abandoned, ms(6500))}, analysis.Window{
			Begun: 1, Told: 1, Abandoned: 1, Times: analysis.Times{Latencies: slow, FirstBytes: slow},
		}},
		{"its answer may begin, and end", []analysis.Request{waits(ms(6000)), begins, streamed}, analysis.Window{
			Begun: 1, Told: 1, Requests: 1, Late: 1, Times: analysis.Times{Latencies: slow, FirstBytes: slow},
		}},
		{"one that answers in time counts as any other", []analysis.Request{waits(ms(1000)), ends(analysis.Succeeded, ms(1500))}, analysis.Window{
			Begun: 1, Told: 1, Requests: 1, Late: 1, Times: analysis.Times{Latencies: buckets(ms(1500))},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bins := analysis.NewBins(epoch(), ms(100))
			bins.SetPatience(5 * time.Second)
			for _, r := range tt.adds {
				bins.Add(r)
			}
			var all analysis.Window
			for _, w := range bins.Close(epoch().Add(time.Minute)) {
				all.Merge(w)
			}
			assert.Equal(t, tt.want, all)
		})
	}
}

func TestWithoutAPatienceNothingIsSlowBeforeItEnds(t *testing.T) {
	bins := analysis.NewBins(epoch(), ms(100))
	r := at(0, 20*time.Second, analysis.Succeeded)
	r.ID, r.Running = "r", true
	bins.Add(r)
	closed := bins.Close(epoch().Add(time.Minute))
	require.Len(t, closed, 1)
	assert.Empty(t, closed[0].Latencies)
	assert.Equal(t, int64(1), closed[0].Begun)
}

func TestARequestOfAClosedWindowCountsInTheOldestOpenOne(t *testing.T) {
	bins := analysis.NewBins(epoch(), ms(100))
	bins.Close(epoch().Add(time.Second))
	bins.Add(at(0, ms(5), analysis.Succeeded))
	closed := bins.Close(epoch().Add(time.Minute))
	require.Len(t, closed, 1)
	assert.Equal(t, analysis.IndexAt(epoch())+3, closed[0].Index)
	assert.Equal(t, int64(0), closed[0].Late)
	assert.Equal(t, uint64(7), closed[0].Epoch, "its own split")
}

func TestAnAgeIsGivenToWindowsThatHaveNotOpened(t *testing.T) {
	bins := analysis.NewBins(epoch(), ms(100))
	bins.SetAge(epoch().Add(ms(10)), ms(1100))
	bins.Add(at(ms(1), ms(5), analysis.Succeeded))
	bins.Add(at(ms(251), ms(5), analysis.Succeeded))
	assert.Len(t, bins.Close(epoch().Add(ms(500))), 1, "the open window keeps its age")
	assert.Empty(t, bins.Close(epoch().Add(ms(750))))
	assert.Len(t, bins.Close(epoch().Add(ms(1750))), 1)

	bins.SetAge(epoch().Add(ms(1750)), ms(100))
	bins.Add(at(ms(1751), ms(5), analysis.Succeeded))
	bins.Add(at(ms(2000), ms(5), analysis.Succeeded))
	assert.Empty(t, bins.Close(epoch().Add(ms(2500))), "no window closes before an older one")
	assert.Len(t, bins.Close(epoch().Add(ms(3250))), 2)
}

func TestAGapSpoilsTheWindowsItMayHaveTakenFrom(t *testing.T) {
	bins := analysis.NewBins(epoch(), ms(300))
	for i := range 10 {
		bins.Add(at(ms(250*i), ms(5), analysis.Succeeded))
	}
	// Requests that ended from 1,300 to 1,400 ms started at 1,000 at the earliest.
	bins.Spoil(epoch().Add(ms(1300)), epoch().Add(ms(1400)))
	var kept []int64
	for _, w := range bins.Close(epoch().Add(time.Minute)) {
		kept = append(kept, w.Index-analysis.IndexAt(epoch()))
	}
	assert.Equal(t, []int64{0, 1, 2, 3, 6, 7, 8, 9}, kept)
}

func TestNoRequestIsLostOrCountedTwice(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	bins := analysis.NewBins(epoch(), ms(100))
	var requests, errors, late int64
	count := func(ws []analysis.Window) {
		for i, w := range ws {
			requests, errors, late = requests+w.Requests, errors+w.Errors, late+w.Late
			assert.True(t, i == 0 || ws[i-1].Compare(w.WindowKey) < 0, "sorted")
		}
	}
	const n = 5000
	var failed int64
	for i := range n {
		o := analysis.Outcome(random.IntN(2))
		failed += int64(o)
		r := at(ms(i), time.Duration(random.ExpFloat64()*float64(ms(60))), o)
		r.Pod = string(rune('a' + random.IntN(3)))
		bins.Add(r)
		if i%50 == 0 {
			bins.SetAge(r.Start, ms(50+random.IntN(200)))
			count(bins.Close(r.Start))
		}
	}
	count(bins.Close(epoch().Add(time.Minute)))
	assert.Equal(t, int64(n), requests)
	assert.Equal(t, failed, errors)
	assert.NotZero(t, late)
}

func TestWindowsOfTwoProxiesMergeByAddition(t *testing.T) {
	one, other, both := analysis.NewBins(epoch(), ms(100)), analysis.NewBins(epoch(), ms(100)), analysis.NewBins(epoch(), ms(100))
	for i := range 40 {
		r := at(ms(i), ms(3*i), analysis.Outcome(i%5))
		both.Add(r)
		if i%2 == 0 {
			one.Add(r)
		} else {
			other.Add(r)
		}
	}
	end := epoch().Add(time.Minute)
	merged := one.Close(end)
	merged[0].Merge(other.Close(end)[0])
	assert.Equal(t, both.Close(end), merged)
}

func BenchmarkBins(b *testing.B) {
	bins := analysis.NewBins(epoch(), ms(100))
	r := at(0, ms(37), analysis.Succeeded)
	for i := 0; b.Loop(); i++ {
		r.Start = epoch().Add(time.Duration(i) * 10 * time.Microsecond)
		r.Duration = time.Duration(i%1000) * 40 * time.Microsecond
		bins.Add(r)
		if i%25_000 == 0 {
			bins.Close(r.Start)
		}
	}
}

package analysis_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

func mlRoute() config.Key { return config.Key{Namespace: "ml", Name: "filetype"} }

// noticed is a time with a gap.
type noticed struct {
	from, to time.Duration
	gap      analysis.Gap // when it ended
}

// watch asks every 50 ms, as a rollout does.
func (g gateway) watch() (gaps []noticed) {
	tally := analysis.NewTally(mlRoute(), epoch())
	signals := g.signals()
	var open bool
	for t := time.Duration(0); t < time.Duration(g.seconds)*time.Second; t += ms(50) {
		for len(signals) > 0 && signals[0].at <= t {
			signals[0].take(tally, epoch().Add(signals[0].at))
			signals = signals[1:]
		}
		gap, is := tally.Gap(epoch().Add(t))
		switch {
		case is && !open:
			gaps = append(gaps, noticed{from: t, to: t, gap: gap})
		case is:
			gaps[len(gaps)-1].to, gaps[len(gaps)-1].gap = t, gap
		}
		open = is
	}
	return gaps
}

func TestNothingLostIsNoGap(t *testing.T) {
	for _, tt := range []struct {
		name string
		g    gateway
	}{
		{"at 2 rps", gateway{rate: 2, mean: ms(40)}},
		{"at 50 rps", gateway{rate: 50, mean: ms(40)}},
		{"at 1000 rps", gateway{rate: 1000, mean: ms(40), seconds: 60}},
		{"with streams of a minute", gateway{rate: 20, mean: ms(40), slow: time.Minute}},
		{"with streams that are told of while they run", gateway{rate: 20, mean: ms(40), slow: time.Minute, tells: true}},
		{"with streams that are counted with their headers", gateway{rate: 20, mean: ms(40), slow: time.Minute, early: true}},
		{"with clients that leave", gateway{rate: 100, mean: ms(40), left: .3}},
		{"with refused connections", gateway{rate: 100, mean: ms(40), refused: .3}},
		{"with every connection refused", gateway{rate: 100, mean: ms(40), refused: 1}},
		{"with reports that come late", gateway{rate: 200, mean: ms(40), late: ms(200)}},
		{"with a cluster's first report missing", gateway{rate: 200, mean: ms(40), unreported: func(s int) bool { return s == 1 }}},
		{"with reports missing amid", gateway{rate: 200, mean: ms(40), unreported: func(s int) bool { return s == 100 }}},
		{"with a clock 4 s ahead", gateway{rate: 100, mean: ms(40), ahead: 4 * time.Second}},
		{"with a clock 15 ms ahead", gateway{rate: 20, mean: ms(40), ahead: ms(15)}},
		{"with a clock 4 s behind", gateway{rate: 100, mean: ms(40), ahead: -4 * time.Second}},
		{"with a clock 60 ms behind", gateway{rate: 100, mean: ms(40), ahead: -ms(60)}},
		{"with logs half a second late for a while", gateway{rate: 100, mean: ms(40), logsLate: func(t time.Duration) time.Duration {
			if t > 30*time.Second && t < 40*time.Second {
				return ms(500)
			}
			return 0
		}}},
		{"on a starved machine", gateway{rate: 20, mean: ms(40), starved: ms(100)}},
		{"on a starved machine at 200 rps", gateway{rate: 200, mean: ms(40), starved: ms(60)}},
		{"with an idle spell", gateway{rate: 100, mean: ms(40), idle: [2]time.Duration{time.Minute, 2 * time.Minute}}},
		{"with streams that close while idle", gateway{
			rate: 100, mean: ms(40), idle: [2]time.Duration{time.Minute, 2 * time.Minute},
			broken: [][2]time.Duration{{80 * time.Second, 120*time.Second + ms(10)}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(3) {
				tt.g.seed = seed
				tt.g.seconds = cmp.Or(tt.g.seconds, 200)
				for _, n := range tt.g.watch() {
					t.Errorf("seed %d: got a gap from %v to %v: %v", seed, n.from, n.to, n.gap)
				}
			}
		})
	}
}

// between is the flushes of both workers from a to b.
func between(a, b time.Duration) func(int, time.Duration) bool {
	return func(_ int, t time.Duration) bool { return a <= t && t < b }
}

func TestALossIsNoticedAndEndsWithTheFirstWholeReport(t *testing.T) {
	const at = 60 * time.Second
	oneBuffer := func(worker int, t time.Duration) bool { return worker == 0 && between(at, at+ms(50))(0, t) }
	for _, tt := range []struct {
		name   string
		g      gateway
		cause  analysis.Cause
		within time.Duration // of the loss
		ended  time.Duration // after at
	}{
		{"a few entries at 5 rps", gateway{rate: 5, mean: ms(40), lost: between(at, at+ms(600))}, analysis.CauseMissing, 3 * time.Second, 5 * time.Second},
		{"one buffer of both workers at 50 rps", gateway{rate: 50, mean: ms(40), lost: between(at, at+ms(50))}, analysis.CauseMissing, 3 * time.Second, 5 * time.Second},
		{"one buffer of one worker at 200 rps", gateway{rate: 200, mean: ms(40), lost: oneBuffer}, analysis.CauseMissing, 3 * time.Second, 5 * time.Second},
		{"one buffer of one worker at 1000 rps", gateway{rate: 1000, mean: ms(40), lost: oneBuffer}, analysis.CauseMissing, 3 * time.Second, 5 * time.Second},
		{"one worker's entries for 2 s", gateway{rate: 200, mean: ms(40), lost: func(w int, t time.Duration) bool { return w == 0 && between(at, at+2*time.Second)(0, t) }}, analysis.CauseMissing, 2 * time.Second, 6 * time.Second},
		{"everything for 4 s, unseen", gateway{rate: 500, mean: ms(40), lost: between(at, at+4*time.Second)}, "", 2 * time.Second, 8 * time.Second},
		{"a slow stream's end with everything", gateway{rate: 20, mean: ms(40), slow: time.Minute, lost: between(at, at+4*time.Second)}, analysis.CauseMissing, 3 * time.Second, 8 * time.Second},
		{"everything for 4 s at 1 rps", gateway{rate: 1, mean: ms(40), lost: between(at, at+8*time.Second)}, "", 6 * time.Second, 14 * time.Second},
		{"a restart of the log server of 100 ms", gateway{rate: 1000, mean: ms(40), broken: [][2]time.Duration{{at, at + ms(100)}}}, analysis.CauseBroken, ms(50), 4 * time.Second},
		{"a log server away for 4 s", gateway{rate: 1000, mean: ms(40), broken: [][2]time.Duration{{at, at + 4*time.Second}}}, "", ms(50), 8 * time.Second},
		{"a restart of the proxy", gateway{rate: 200, mean: ms(40), restarted: at, broken: [][2]time.Duration{{at, at + ms(400)}}}, "", ms(50), 5 * time.Second},
		{"every refused connection's entry", gateway{rate: 100, mean: ms(40), refused: 1, lost: between(at, at+4*time.Second)}, analysis.CauseSilent, 3 * time.Second, 8 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.g.seconds = 90
			gaps := tt.g.watch()
			require.NotEmpty(t, gaps)
			first, last := gaps[0], gaps[len(gaps)-1]
			assert.GreaterOrEqual(t, first.from, at)
			assert.LessOrEqual(t, first.from, at+tt.within, "%v", first.gap)
			assert.LessOrEqual(t, last.to, at+tt.ended, "%v", last.gap)
			assert.LessOrEqual(t, first.gap.From, epoch().Add(at), "%v", first.gap)
			if tt.cause != "" {
				assert.Equal(t, tt.cause, first.gap.Cause)
			}
		})
	}
}

func TestEntriesOfAStalledServerAreAGapUntilTheyCome(t *testing.T) {
	const from, to = 60 * time.Second, 65 * time.Second
	g := gateway{rate: 200, mean: ms(40), seconds: 90, logsLate: func(t time.Duration) time.Duration {
		if from <= t && t < to {
			return to - t
		}
		return 0
	}}
	gaps := g.watch()
	require.Len(t, gaps, 1)
	assert.LessOrEqual(t, gaps[0].from, from+3*time.Second)
	assert.GreaterOrEqual(t, gaps[0].to, to)
	assert.LessOrEqual(t, gaps[0].to, to+6*time.Second)
}

func TestALostBufferIsNoticedAtEveryRate(t *testing.T) {
	const at = 30 * time.Second
	for _, rate := range []float64{100, 300, 1000} {
		var after []time.Duration
		for seed := range uint64(10) {
			g := gateway{seed: seed, seconds: 60, rate: rate, mean: ms(40), lost: func(worker int, t time.Duration) bool { return worker == 0 && between(at, at+ms(50))(0, t) }}
			lost := slices.DeleteFunc(g.requests(), func(r served) bool { return r.told })
			if len(lost) < 3 {
				continue // the buffer was all but empty
			}
			gaps := g.watch()
			if assert.NotEmpty(t, gaps, "at %v rps, seed %d", rate, seed) {
				after = append(after, gaps[0].from-at)
			}
		}
		slices.Sort(after)
		t.Logf("at %v rps: %d lost buffers of three entries or more noticed, median after %v, worst after %v", rate, len(after), after[len(after)/2], after[len(after)-1])
		assert.Less(t, after[len(after)/2], 3*time.Second)
	}
}

func TestAGapCountsWhatIsMissing(t *testing.T) {
	g := gateway{rate: 500, mean: ms(40), seconds: 30, lost: between(10*time.Second, 14*time.Second)}
	lost := 0
	for _, r := range g.requests() {
		if !r.told {
			lost++
		}
	}
	gaps := g.watch()
	require.Len(t, gaps, 1)
	assert.InDelta(t, lost, gaps[0].gap.Missing, 30)
	assert.Less(t, gaps[0].gap.From, epoch().Add(10*time.Second))
	assert.Greater(t, gaps[0].gap.To, epoch().Add(13*time.Second))
}

func TestAGapDoesNotReachBackIntoTimeWithoutRequests(t *testing.T) {
	g := gateway{
		rate: 500, mean: ms(40), seconds: 60, idle: [2]time.Duration{10 * time.Second, 40 * time.Second}, lost: between(41*time.Second, 45*time.Second),
		unreported: func(second int) bool { return 12 < second && second <= 40 }, // there is nothing to report
	}
	gaps := g.watch()
	require.Len(t, gaps, 1)
	assert.Greater(t, gaps[0].gap.From, epoch().Add(39*time.Second))
	assert.Less(t, gaps[0].gap.From, epoch().Add(41*time.Second))
}

func TestAGapOfAProxyThatIsGoneEnds(t *testing.T) {
	tally := analysis.NewTally(mlRoute(), epoch())
	tally.Stream(epoch(), "gateway", true)
	tally.Report([]analysis.Load{{Route: mlRoute(), Version: "v1", Proxy: "gateway", At: epoch().Add(ms(1000)), Interval: time.Second, Issued: 5}})
	tally.Stream(epoch().Add(ms(1200)), "gateway", false)
	gap, is := tally.Gap(epoch().Add(ms(1300)))
	assert.True(t, is)
	assert.Equal(t, "proxy gateway, ml/filetype: a log stream broke off from 22:13:21.050 for 250ms while requests were under way", gap.String())
	_, is = tally.Gap(epoch().Add(5 * time.Second))
	assert.False(t, is)
}

func TestOtherInferenceRoutesAreNotTallied(t *testing.T) {
	tally := analysis.NewTally(config.Key{Namespace: "ml", Name: "other"}, epoch())
	for i := range 10 {
		tally.Report([]analysis.Load{{Route: mlRoute(), Version: "v1", Proxy: "gateway", At: epoch().Add(time.Duration(i) * time.Second), Interval: time.Second, Issued: 5, Succeeded: 5}})
	}
	assert.Empty(t, tally.Gaps(epoch().Add(10*time.Second)))
}

func TestGapsAreToldInOneLineWithNumbers(t *testing.T) {
	gap := analysis.Gap{
		Proxy: "gateway-1", Route: mlRoute(), Version: "v3", From: epoch(), To: epoch().Add(ms(4012)), Missing: 4012, Cause: analysis.CauseMissing,
	}
	assert.Equal(t, "proxy gateway-1, ml/filetype v3: at least 4012 attempts without a log entry from 22:13:20.000 for 4.012s", fmt.Sprint(gap))
	gap.Cause = analysis.CauseSilent
	assert.Equal(t, "proxy gateway-1, ml/filetype v3: no log entry from 22:13:20.000 for 4.012s while load reports count 4012 attempts", fmt.Sprint(gap))
}

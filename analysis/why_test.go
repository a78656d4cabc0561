package analysis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestEveryVerdictHasItsReasonAsAValue(t *testing.T) {
	p := fullPolicy()
	judge := func(c ...Closed) Assessment {
		e := NewEvidence(p, testArms())
		for _, closed := range c {
			e = e.Update(p, closed)
		}
		return Judge(p, e, time.Unix(0, 0))
	}
	run := func(stable, candidate float64, windows int64, share uint32) (all []Closed) {
		tr := newTraffic(1, 400)
		tr.stable, tr.candidate, tr.share = always(stable), always(candidate), always(share)
		for index := range windows {
			all = append(all, tr.window(index))
		}
		return all
	}

	a := judge()
	require.Equal(t, Why{Kind: WhyNoRequests}, a.Why)

	a = judge(run(.001, .3, 400, 1000)...)
	require.Equal(t, Harmful, a.Verdict, a.Reason)
	require.Equal(t, WhyHarm, a.Why.Kind)
	require.Equal(t, "errors", a.Why.Metric)
	require.Greater(t, a.Why.LogE, 3.0)

	a = judge(run(.001, .001, 100, 1000)...)
	require.Equal(t, Undecided, a.Verdict)
	require.Equal(t, WhyEvidence, a.Why.Kind)
	require.NotEmpty(t, a.Why.Metric)
	require.Less(t, a.Why.LogE, a.Why.LogNeeded)

	off := run(.001, .001, 400, 1000)
	for i := range off {
		off[i].Shares = map[uint64]uint32{1000: 5000}
	}
	a = judge(off...)
	require.Equal(t, Undecided, a.Verdict)
	require.Equal(t, WhySplit, a.Why.Kind)
	require.Equal(t, "split", a.Why.Metric)
	require.Equal(t, a.Hold, a.Reason)

	a = judge(run(.3, .3, 400, 1000)...)
	require.Equal(t, Undecided, a.Verdict)
	require.Equal(t, WhyShared, a.Why.Kind, a.Reason)
	require.Equal(t, "errors", a.Why.Metric)
}

func TestAnUndecidedVerdictSaysHowMuchIsStillNeeded(t *testing.T) {
	p := fullPolicy()
	p.Metrics = p.Metrics[:1] // errors
	tr := newTraffic(2, 400)
	tr.stable, tr.candidate, tr.share = always(.001), always(.001), always[uint32](1000)
	e := NewEvidence(p, testArms())
	for index := range int64(20) {
		e = e.Update(p, tr.window(index))
	}
	a := Judge(p, e, time.Unix(0, 0))
	require.Equal(t, WhyEvidence, a.Why.Kind, a.Reason)
	require.Positive(t, a.Why.Requests)
	require.InDelta(t, a.Why.Requests/40, a.Why.Seconds, a.Why.Seconds/4+1)
}

func TestWhatCannotBeDoneInTimeIsSaidEarly(t *testing.T) {
	p := errorPolicy() // against stable alone, 0.1% errors take a quarter of a million requests at 5%
	p.Metrics[0].SLO = nil
	p.Metrics[0].VersusStable.PromoteIf = config.Below{Ratio: 2}
	tr := newTraffic(3, 100)
	tr.stable, tr.candidate = always(.001), always(.001)
	e := NewEvidence(p, testArms())
	for index := range int64(1200) {
		e = e.Update(p, tr.window(index))
	}
	a := Judge(p, e, time.Unix(0, 0))
	require.Equal(t, WhyEvidence, a.Why.Kind, a.Reason)
	require.Equal(t, a.Why.Seconds > 40*60, a.Why.Futile, a.Reason)
	p.Limits.MaxDuration = config.Duration(5*time.Minute + time.Second)
	a = Judge(p, e, time.Unix(0, 0))
	require.True(t, a.Why.Futile, a.Reason)
	require.Contains(t, a.Reason, "only 1 s of maxDuration are left, so at this share it ends inconclusive")
}

func TestALatencyWithoutAnAnswerIsNoNumber(t *testing.T) {
	e := Estimate{N: 4, Count: 4, Value: Edge(LastBucket).Seconds()}
	require.Equal(t, "no answer in time (4 of 4 slow)", e.Text(methodRank))
	e.Value = 0.04
	require.Equal(t, "40ms (4 of 4 slow)", e.Text(methodRank))
}

func TestAnEstimateIsWrittenByWhatItIsOf(t *testing.T) {
	e := Estimate{N: 12, Count: 9, Value: .75}
	require.Equal(t, "75% (9 of 12)", e.Text(methodLimit))
	require.Equal(t, "750ms (9 of 12 slow)", e.Text(methodRank))
	require.Equal(t, "no data", Estimate{}.Text(methodLimit))
}

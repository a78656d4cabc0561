package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// at is a moment of a trial, in milliseconds since it began.
func at(ms int) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(ms) * time.Millisecond) }

func answer(ms int, version string, status int) stage.Answer {
	return stage.Answer{Scheduled: at(ms), Version: version, Status: status, Latency: 40 * time.Millisecond}
}

// tripped is a trial that ended by a trip at 1000 ms, confirmed at 3000.
func tripped(answers ...stage.Answer) seen {
	f := canary.Finished{Outcome: canary.OutcomeRolledBack, Cause: canary.CauseTrip, Ended: at(3000)}
	f.Trips = []canary.Trip{{At: at(1000)}}
	f.Passages = []canary.Passage{{Epoch: 2, Desired: at(0)}, {Epoch: 3, Desired: at(1000)}, {Epoch: 4, Desired: at(3000)}}
	return seen{
		pods: 1, answers: answers, finished: &f, delay: 30 * time.Millisecond,
		marks: map[uint64]marks{2: {at(1), at(2)}, 3: {at(1001), at(1005)}, 4: {at(3001), at(3002)}},
	}
}

func TestMeasure(t *testing.T) {
	s := tripped(
		answer(0, stable, 200), answer(100, candidate, 500), answer(500, stable, 500),
		answer(900, candidate, 500), answer(1010, candidate, 500), answer(1100, stable, 500), answer(1200, "", 0),
	)
	r := s.measure(scenario{Name: "S1"})
	assert.Equal(t, canary.OutcomeRolledBack, r.Outcome)
	assert.InDelta(t, 0.91, r.Exposure, 1e-9, "from 100 to 1010")
	assert.Equal(t, 3, r.Requests)
	assert.Equal(t, 4, r.Failed, "stable's failure at 500, too, but none after the candidate's last request")
	assert.InDelta(t, 0.9, r.ToTrip, 1e-9)
	assert.InDelta(t, 2.9, r.ToEnd, 1e-9)
	want := split{Evidence: 0.84, LogDelay: 0.03, Decision: 0.03, Publish: 0.001, Ack: 0.004, Last: 0.005}
	assert.InDelta(t, want.Evidence, r.Split.Evidence, 1e-9, "the answer at 940 decided")
	assert.InDelta(t, want.LogDelay, r.Split.LogDelay, 1e-9)
	assert.InDelta(t, want.Decision, r.Split.Decision, 1e-9)
	assert.InDelta(t, want.Publish, r.Split.Publish, 1e-9)
	assert.InDelta(t, want.Ack, r.Split.Ack, 1e-9)
	assert.InDelta(t, want.Last, r.Split.Last, 1e-9)
	assert.Zero(t, r.Split.WindowAge, "a trip waits for no window")
}

func TestMeasureFromTheFaultOn(t *testing.T) {
	s := tripped(answer(100, candidate, 200), answer(700, candidate, 500), answer(900, candidate, 500))
	r := s.measure(scenario{Fault: fault{After: 500 * time.Millisecond, Errors: 1}})
	assert.InDelta(t, 0.2, r.Exposure, 1e-9)
	assert.Equal(t, 2, r.Failed)
}

func TestMeasureOfATrialThatDidNotEnd(t *testing.T) {
	s := tripped(answer(100, candidate, 500), answer(200, candidate, 500))
	s.finished = nil
	r := s.measure(scenario{})
	assert.Empty(t, r.Outcome)
	assert.InDelta(t, 0.1, r.Exposure, 1e-9)
	assert.Equal(t, result{Pods: 1, Scenario: "S1"}, seen{pods: 1}.measure(scenario{Name: "S1"}), "no candidate request")
}

func TestTable(t *testing.T) {
	s := scenario{Name: "S1", About: "bad", Goals: []goal{{exposure, median, 2}, {exposure, worst, 3}, {failed, median, 1}}}
	results := []result{
		{Exposure: 1, Failed: 1, Outcome: canary.OutcomeRolledBack, Cause: canary.CauseTrip},
		{Exposure: 4, Failed: 3, Outcome: canary.OutcomeRolledBack, Cause: canary.CauseEvidence},
		{Exposure: 2, Failed: 0, Outcome: canary.OutcomeRolledBack, Cause: canary.CauseTrip},
	}
	var text strings.Builder
	missed := s.table(results)
	missed.print(&text)
	assert.True(t, missed.missed())
	assert.Contains(t, text.String(), "median ≤ 2: met, max ≤ 3: MISSED")
	assert.Contains(t, text.String(), "ended: 1 rolledBack (Evidence), 2 rolledBack (TripConfirmed)")

	s.Goals[1].Most = 4
	assert.False(t, s.table(results).missed())
	results[2].Outcome = ""
	assert.True(t, s.table(results).missed(), "a bad version that is not rolled back misses every goal")
}

func TestDistribution(t *testing.T) {
	var results []result
	for i := range 20 {
		results = append(results, result{Exposure: float64(20 - i)})
	}
	d := distributionOf(results, func(r result) float64 { return r.Exposure })
	assert.Equal(t, distribution{median: 10.5, p90: 19, max: 20}, d)
}

func TestVersion(t *testing.T) {
	v := newVersion(0.1, fault{After: time.Second, Errors: 1, Slower: 2}, 7)
	again := newVersion(0.1, fault{After: time.Second, Errors: 1, Slower: 2}, 7)
	var before, after time.Duration
	failures := 0
	for range 1000 {
		takes, fails := v.next(at(0))
		same, _ := again.next(at(0))
		require.Equal(t, takes, same, "the seed decides")
		before += takes
		if fails {
			failures++
		}
	}
	assert.InDelta(t, 100, failures, 40)
	for range 1000 {
		takes, fails := v.next(at(1000))
		assert.True(t, fails)
		after += takes
	}
	assert.InDelta(t, 2, after.Seconds()/before.Seconds(), 0.1)
}

func TestChosen(t *testing.T) {
	o := options{runs: 20, parallel: 2, output: "text"}
	all, err := o.chosen()
	require.NoError(t, err)
	require.Len(t, all, 4)
	o.scenario = "S2"
	one, err := o.chosen()
	require.NoError(t, err)
	require.Equal(t, "S2", one[0].Name)
	o.load = 10
	loaded, err := o.chosen()
	require.NoError(t, err)
	require.Equal(t, []goal{{exposure, worst, 5}}, loaded[0].Goals)
	for _, bad := range []options{{runs: 20, parallel: 1, output: "xml"}, {runs: -1, parallel: 1, output: "text"}, {runs: 1, parallel: 1, output: "text", scenario: "S9"}} {
		_, err := bad.chosen()
		require.Error(t, err)
	}
}

func TestSpinEndsWithItsInput(t *testing.T) {
	require.NoError(t, spin(strings.NewReader("")))
	broken := errors.New("broken")
	require.ErrorIs(t, spin(failing{broken}), broken)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

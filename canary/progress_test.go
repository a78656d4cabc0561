package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

func TestProgress(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	stepping := func(change func(*Rollout)) State {
		r := &Rollout{
			Candidate: "v2", Phase: Stepping, Clock: now.Add(-12 * time.Second), Base: 40,
			Policy: config.Standard(), Bake: config.Duration(10 * time.Minute),
			Steps: []config.Step{{Weight: 5 * config.PerMillion / 100}, {Weight: 25 * config.PerMillion / 100, For: config.Duration(2 * time.Minute)}},
		}
		change(r)
		return State{Rollout: r}
	}
	seen := analysis.Assessment{Requests: map[string]int64{"v1": 900, "v2": 140}}
	tests := []struct {
		name   string
		state  State
		want   Progress
		absent bool
	}{
		{
			"a step without `for` lasts the policy's least", stepping(func(*Rollout) {}),
			Progress{12 * time.Second, time.Minute, 100, 300},
			false,
		},
		{
			"a step with `for` lasts that", stepping(func(r *Rollout) { r.Step = 1 }),
			Progress{12 * time.Second, 2 * time.Minute, 100, 300},
			false,
		},
		{
			"nothing has lasted before the acknowledgement", stepping(func(r *Rollout) { r.Clock, r.Base = time.Time{}, Uncounted }),
			Progress{0, time.Minute, 0, 300},
			false,
		},
		{
			"baking asks for time alone", stepping(func(r *Rollout) { r.Phase = Baking }),
			Progress{12 * time.Second, 10 * time.Minute, 0, 0},
			false,
		},
		{"a gate has no clock", stepping(func(r *Rollout) { r.Phase = Approving }), Progress{}, true},
		{"between rollouts there is none", State{}, Progress{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := test.state.Progress(seen, now)
			require.Equal(t, !test.absent, ok)
			require.Equal(t, test.want, got)
		})
	}
}

func TestReach(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	s := State{
		Proxies:   1,
		Published: config.Split{Epoch: 9, Shares: config.Carve("v1", "v2", 2500, 3000)},
		Rollout: &Rollout{Candidate: "v2", Passages: []Passage{
			{Epoch: 8, Weight: 500, Acked: now},
			{Epoch: 9, Weight: 2500},
		}},
	}
	t.Run("an older acknowledgement stands until the newer one", func(t *testing.T) {
		got, ok := s.Reach(Trace{Served: []Served{{Epoch: 8, Stable: 95, Candidate: 5}, {Epoch: 9, Stable: 3, Candidate: 1}}})
		require.True(t, ok)
		require.Equal(t, Reach{Wanted: 2500, Acked: new(uint32(500)), Observed: new(uint32(2500))}, got)
	})
	t.Run("with no proxy connected nobody has it", func(t *testing.T) {
		alone := s
		alone.Proxies = 0
		got, _ := alone.Reach(Trace{Served: []Served{{Epoch: 8, Stable: 95, Candidate: 5}}})
		require.Equal(t, Reach{Wanted: 2500}, got)
	})
	t.Run("nothing is observed before the first log entry", func(t *testing.T) {
		got, _ := s.Reach(Trace{})
		require.Nil(t, got.Observed)
	})
	t.Run("between rollouts there is none", func(t *testing.T) {
		_, ok := State{}.Reach(Trace{})
		require.False(t, ok)
	})
}

func TestABlindWaitSaysWhatIsMissingNow(t *testing.T) {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	s := State{Proxies: 1, Rollout: &Rollout{
		Phase: Baking, Clock: began, Blind: &Blind{Since: began, Reason: "a log stream broke off for 174ms"},
	}}
	now := began.Add(6 * time.Second)
	waits := s.Waits(analysis.Assessment{Verdict: analysis.Blind, Reason: "no load report for 6.46s"}, now)
	require.Equal(t, []Wait{{WaitBlind, "blind for 6s: no load report for 6.46s"}}, waits)
	require.Equal(t, "a log stream broke off for 174ms", s.Rollout.Blind.Reason, "the state stays as it was decided")

	waits = s.Waits(analysis.Assessment{Verdict: analysis.Healthy, Reason: "all well"}, now)
	require.Equal(t, "blind for 6s: a log stream broke off for 174ms", waits[0].Text, "of a look before it was blind nothing is taken")
}

func TestAnObservedShareSaysWhenTheLastRequestBegan(t *testing.T) {
	last := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	s := State{Proxies: 1, Rollout: &Rollout{Candidate: "v2"}}
	reach, ok := s.Reach(Trace{
		Stable: Exposure{Last: last}, Candidate: Exposure{Last: last.Add(-time.Second)}, Served: []Served{{Epoch: 2, Stable: 3, Candidate: 1}},
	})
	require.True(t, ok)
	require.Equal(t, uint32(2500), *reach.Observed)
	require.Equal(t, last, reach.ObservedAt)
}

func TestACandidateThatWaitsHasWhatWasAcknowledgedBefore(t *testing.T) {
	s := State{Proxies: 1, Acked: 1, Published: config.Split{Epoch: 1, Shares: config.Whole("v1")}, Rollout: &Rollout{Candidate: "v2", Phase: Waiting}}
	reach, _ := s.Reach(Trace{})
	require.NotNil(t, reach.Acked)
	require.Zero(t, *reach.Acked)
	s.Published.Epoch = 2
	reach, _ = s.Reach(Trace{})
	require.Nil(t, reach.Acked, "of the new one nothing is")
}

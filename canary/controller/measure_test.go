package controller_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// measuringLab judges a metric of its own, too, and measures it every 5 s while the
// candidate has requests. The counters are what answer gives, per second.
func measuringLab(t *testing.T, answer func(seconds int64) analysis.Measurement) *lab {
	t.Helper()
	l := newLab(t, spec())
	l.policy.Metrics = append(l.policy.Metrics, config.Metric{
		Name: "own", Weight: 1, BurstCap: 3,
		Prometheus:   &config.Prometheus{URL: "http://p:9090", Bad: "b", Total: "t"},
		VersusStable: &config.VersusStable{RollbackIf: 1.5, PromoteIf: config.Below{Ratio: 2}},
	})
	for seconds := int64(5); seconds < 600; seconds += 5 {
		l.hooks[time.Duration(seconds)*time.Second] = func() {
			r := l.ctl.Snapshot(l.world.Now()).State.Rollout
			if r == nil {
				return
			}
			m := answer(seconds)
			m.Metric, m.At, m.Epoch = "own", l.world.Now(), l.published[len(l.published)-1].Epoch
			l.ctl.Measured("another", analysis.Measurement{Metric: "own", At: l.world.Now().Add(time.Hour)}) // of a rollout that ended
			l.ctl.Measured(r.ID, m)
		}
	}
	return l
}

// counting gives counters that grow by so many a second, of which some are bad.
func counting(stable, candidate float64) func(int64) analysis.Measurement {
	count := func(seconds int64, bad float64) analysis.Measured {
		read := func(x float64) analysis.Reading { return analysis.Reading{Outcome: analysis.Read, Value: x} }
		return analysis.Measured{Bad: read(float64(seconds) * 100 * bad), Total: read(float64(seconds) * 100)}
	}
	return func(seconds int64) analysis.Measurement {
		return analysis.Measurement{Stable: count(seconds, stable), Candidate: count(seconds, candidate)}
	}
}

func TestAMetricOfOnesOwnRollsBack(t *testing.T) {
	l := measuringLab(t, counting(0.02, 0.2))
	l.start()
	s := l.until(5*time.Minute, ended)
	require.Equal(t, canary.OutcomeRolledBack, s.State.History[0].Outcome)
	require.Contains(t, s.State.History[0].Reason, "own counts-versus-stable >1.5x")
	requireReplays(t, l.store.decisions)
}

func TestAMetricOfOnesOwnIsNeededToPromote(t *testing.T) {
	l := measuringLab(t, counting(0.05, 0.05))
	l.start()
	s := l.until(9*time.Minute, ended)
	require.Equal(t, canary.OutcomePromoted, s.State.History[0].Outcome, s.State.History[0].Reason)
}

func TestAMetricThatSaysNothingHoldsGrowth(t *testing.T) {
	l := measuringLab(t, func(int64) analysis.Measurement {
		empty := analysis.Measured{Bad: analysis.Reading{Outcome: analysis.Empty}, Total: analysis.Reading{Outcome: analysis.Empty}}
		return analysis.Measurement{Stable: empty, Candidate: empty}
	})
	l.policy.Limits.MinStep = config.Duration(20 * time.Second) // three measurements are sooner
	l.start()
	const why = "metric own says nothing in"
	s := l.until(time.Minute, func(s controller.Snapshot) bool { return s.Assessment != nil && s.Assessment.Hold != "" })
	require.Contains(t, s.Assessment.Hold, why)
	l.run(2 * time.Minute)
	s = l.ctl.Snapshot(l.world.Now())
	require.NotNil(t, s.State.Rollout, "neither promoted nor rolled back")
	require.Zero(t, s.State.Rollout.Step, "nor grown")
	require.Equal(t, analysis.Undecided, s.Assessment.Verdict)
}

package canary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

func TestAnABTestIsOverByItsDateOrByAWinner(t *testing.T) {
	date := dawn.Add(time.Hour)
	for _, tt := range []struct {
		name   string
		ends   config.EndsBy
		now    time.Time
		winner string
		want   canary.Cause
	}{
		{"nothing ends it", config.EndsBy{}, date, "v2", ""},
		{"nobody wins", config.EndsBy{Decision: true}, date, "", ""},
		{"an arm wins", config.EndsBy{Decision: true}, dawn, "v2", canary.CauseEvidence},
		{"an arm wins, and only the date counts", config.EndsBy{Date: date}, dawn, "v2", ""},
		{"before its date", config.EndsBy{Decision: true, Date: date}, date.Add(-1), "", ""},
		{"at its date", config.EndsBy{Decision: true, Date: date}, date, "", canary.CauseDate},
		{"an arm wins when its date has come", config.EndsBy{Decision: true, Date: date}, date, "v2", canary.CauseDate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cause, over := canary.ABTest{Spec: config.ABTest{EndsBy: tt.ends}}.Over(tt.now, tt.winner)
			require.Equal(t, tt.want, cause)
			require.Equal(t, tt.want != "", over)
		})
	}
}

func TestVerbsAreOfUseWhereTheyAreNotRefused(t *testing.T) {
	idle := canary.State{ABTests: []canary.ABTest{{ID: "abtest-1", Ended: dawn}}}
	running := canary.State{ABTests: []canary.ABTest{{ID: "abtest-2"}, {ID: "abtest-1", Ended: dawn}}}
	stepping := canary.State{Rollout: &canary.Rollout{Phase: canary.Stepping}}
	for _, tt := range []struct {
		name  string
		state canary.State
		verb  canary.Kind
		want  bool
	}{
		{"nothing is to be aborted", idle, canary.KindAborted, false},
		{"an A/B test", running, canary.KindAborted, true},
		{"a rollout", stepping, canary.KindAborted, true},
		{"nothing is to be held", running, canary.KindHeld, false},
		{"a rollout is to be held", stepping, canary.KindHeld, true},
		{"there is no gate", stepping, canary.KindApproved, false},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, tt.state.Takes(tt.verb)) })
	}
}

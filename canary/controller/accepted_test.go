package controller_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

func TestWhatARunningRolloutDoesNotTakeIsSaid(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	s := l.until(10*time.Second, in(canary.Stepping))
	accepted, _ := s.Condition(canary.Accepted)
	require.Equal(t, "the newest configuration is in force", accepted.Message)

	route := l.route
	route.Strategy.Canary = &config.Canary{Steps: route.Strategy.Canary.Steps, Bake: config.Duration(time.Minute)}
	require.NoError(t, l.ctl.Configure(l.world.Now(), route, l.policy))
	accepted, _ = l.ctl.Snapshot(l.world.Now()).Condition(canary.Accepted)
	require.Equal(t, canary.True, accepted.Status)
	require.Equal(t, "the newest configuration is in force; rollout v2-1 keeps what it began with, and the next one takes what is written now: "+
		"bake 20s (written: 1m)", accepted.Message)
}

func TestARefusedPromotionNamesThePresentEvidence(t *testing.T) {
	l := newLab(t, spec())
	l.start()
	s := l.until(10*time.Second, func(s controller.Snapshot) bool { return s.Assessment != nil && s.Assessment.Requests["v2"] > 0 })
	d, err := l.ctl.Handle(canary.Promoted{At: l.world.Now(), By: canary.By{Actor: "alice", Reason: "now"}, Full: true})
	require.NoError(t, err)
	require.True(t, d.Refused)
	require.Contains(t, d.Text, "the verdict is undecided ("+s.Assessment.Reason+"); --override-evidence promotes")
	requireReplays(t, l.store.decisions)
}

package controller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// midway is a Manager whose route a is at its first step.
func midway(t *testing.T, m *controller.Manager, p *plane) {
	t.Helper()
	m.Resized(time.Now(), a(), "v2", 1, 1, "") // the probe may be quicker
	require.NoError(t, m.Configure(t.Context(), twoRoutes()))
	time.Sleep(100 * time.Millisecond)
	require.EqualValues(t, 500, p.split(a()).Weight("v2"))
}

// without is the configuration without route a.
func without() *config.Config { return &config.Config{Routes: twoRoutes().Routes[1:]} }

func TestARouteThatIsNoLongerConfiguredIsWithdrawnAndRemembered(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		midway(t, m, p)
		epoch := p.split(a()).Epoch
		m.Observe("envoy-1", []analysis.Request{{
			Route: a(), Version: "v2", Epoch: epoch, Pod: "b:1", Proxy: "envoy-1", Start: time.Now(), Duration: time.Millisecond, Attempt: 1, Issued: true,
		}})
		require.NoError(t, m.Configure(t.Context(), without()))
		require.Equal(t, []config.Key{a()}, p.withdrawn)
		require.Regexp(t, "inference route withdrawn: .* route=ml/a stable=v1", p.log.String())
		require.Len(t, m.Snapshots(), 1)

		last := p.records[len(p.records)-1]
		require.Equal(t, canary.KindWithdrawn, last.Event)
		require.Equal(t, "v2-1", last.Rollout)
		require.Contains(t, last.Text, "rollout v2-1 ends cancelled: the inference route is no longer configured")
		require.Zero(t, last.Split.Weight("v2"))
		require.EqualValues(t, 1, p.told.Traces[0].Candidate.Requests, "what waited to be counted is in it")
		require.Equal(t, canary.CauseWithdrawn, p.told.State.History[0].Cause)

		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		require.Greater(t, p.split(a()).Epoch, epoch, "it comes back")
		s, _ := m.Snapshot(a())
		require.Equal(t, "v2-2", s.State.Rollout.ID, "and tries its target again from the start")
		require.Equal(t, "v1", s.State.Stable)
		d, err := m.Do(t.Context(), a(), canary.Aborted{At: time.Now(), By: alice("x")})
		require.NoError(t, err)
		require.False(t, d.Refused)
		m.Resized(time.Now(), a(), "v2", 1, 1, "")
		d, err = m.Do(t.Context(), a(), canary.Retried{At: time.Now(), By: alice("x")})
		require.NoError(t, err)
		require.False(t, d.Refused)
		time.Sleep(100 * time.Millisecond)
		require.Greater(t, p.split(a()).Epoch, uint64(canary.EpochBlock), "above every epoch that may be in use")
	})
}

func TestARouteThatIsRenamedGivesUpItsPlaceFirst(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		before, after := twoRoutes(), twoRoutes()
		before.Routes[0].Hostnames, after.Routes[0].Hostnames = []string{"filetype.ml"}, []string{"filetype.ml"}
		after.Routes[0].Key = config.Key{Namespace: "ml", Name: "0"} // before the old name, in any order
		require.NoError(t, m.Configure(t.Context(), before))
		require.NoError(t, m.Configure(t.Context(), after))
		require.NotContains(t, p.log.String(), "level=ERROR")
		require.EqualValues(t, config.WholeSplit, p.split(after.Routes[0].Key).Weight("v1"))
		require.Zero(t, p.split(a()).Epoch)
		s, _ := m.Snapshot(after.Routes[0].Key)
		require.Nil(t, s.State.Nack)
	})
}

func TestAStoreThatHangsKeepsNoConfigurationWaitingForARouteToGo(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		midway(t, m, p)
		p.mu.Lock()
		slow := make(chan struct{})
		p.slow = slow
		p.mu.Unlock()
		began := time.Now()
		err := m.Configure(t.Context(), without())
		require.ErrorIs(t, err, controller.ErrBusy)
		require.ErrorContains(t, err, "ml/a: not withdrawn yet")
		require.Equal(t, time.Second, time.Since(began))
		require.Zero(t, p.split(a()).Weight("v2"), "its candidate has no share any more")

		p.mu.Lock()
		p.slow = nil
		p.mu.Unlock()
		close(slow)
		synctest.Wait()
		require.Equal(t, []config.Key{a()}, p.withdrawn, "it goes when it can")
		require.NoError(t, m.Configure(t.Context(), twoRoutes()), "and may come back")
		require.NotZero(t, p.split(a()).Epoch)
	})
}

func TestAControlPlaneThatEndsWithdrawsNothing(t *testing.T) {
	var last *plane
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		midway(t, m, p)
		last = p
	})
	require.Empty(t, last.withdrawn)
	for _, d := range last.records {
		require.NotEqual(t, canary.KindWithdrawn, d.Event)
	}
}

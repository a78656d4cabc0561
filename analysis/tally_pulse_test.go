package analysis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
)

func TestAConnectedProxyThatSendsNoReportsIsSilent(t *testing.T) {
	start := epoch()
	after := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	pulse := analysis.NewPulse()

	pulse.Reported(start, "stranger")
	require.Nil(t, pulse.Silent(after(60)), "nothing is expected of a proxy that is not connected")

	pulse.Connected(start, "gateway")
	require.Nil(t, pulse.Silent(after(3)), "it has a moment to begin")
	require.Equal(t, map[string]time.Time{"gateway": start}, pulse.Silent(after(4)))

	pulse.Reported(after(5), "gateway")
	require.Nil(t, pulse.Silent(after(8)))
	require.Equal(t, map[string]time.Time{"gateway": after(5)}, pulse.Silent(after(9)))

	pulse.Disconnected("gateway")
	require.Nil(t, pulse.Silent(after(60)))
}

func TestASilentProxyIsAGapUntilItReports(t *testing.T) {
	tally := analysis.NewTally(mlRoute(), epoch())
	tally.Mute(map[string]time.Time{"gateway": epoch()})
	gap, missing := tally.Gap(epoch().Add(9 * time.Second))
	require.True(t, missing)
	require.Equal(t, "proxy gateway, ml/filetype: no load report from 22:13:20.000 for 9s: what its logs lost would not show", gap.String())
	tally.Mute(nil)
	_, missing = tally.Gap(epoch().Add(10 * time.Second))
	require.False(t, missing)
}

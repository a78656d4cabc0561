package plane

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

// proxyLine is what `sluice proxies -o json` says of a proxy's first inference route.
type proxyLine struct {
	Proxy  string `json:"proxy"`
	Routes []struct {
		Published, Sent, Acked, Observed struct {
			Epoch uint64    `json:"epoch"`
			At    time.Time `json:"at"`
		}
		Late bool `json:"late"`
	} `json:"routes"`
}

// proxies asks for them by name.
func (s *scene) proxies(names ...string) (lines []proxyLine) {
	s.t.Helper()
	out := s.sluice(append([]string{"proxies", "-o", "json"}, names...)...)
	require.NoError(s.t, json.Unmarshal([]byte(out), &lines), out)
	return lines
}

// A proxy that serves on and hears nothing is waited for as long as the policy says, and
// then named. Its logs say what it serves meanwhile, and a rollback that it has not heard
// of is not called confirmed.
func TestAProxyThatHearsNothingIsNamedAndSeenToServeWhatItHad(t *testing.T) {
	t.Parallel()
	s := newSceneWith(t, `{minStep: 1s, minRequestsPerStep: 40, ackTimeout: 1s}`, ramp, "")
	hears := s.relay("xds.sock")
	s.ownEnvoy("deaf", hears, s.relay("als.sock"))
	s.until("the proxy", served)
	s.load(100)
	s.write("v2")
	s.until("v2 served", func(now controller.Snapshot) bool {
		return stepping(0)(now) && s.proxies()[0].Routes[0].Observed.Epoch == now.State.Published.Epoch
	})

	hears.hold()
	split := s.do("abort", api.Verb{}).Decision.Split
	end := s.until("named", func(now controller.Snapshot) bool { return rolledBack(now) && len(now.Stuck) > 0 })
	require.Equal(t, []string{"deaf"}, end.Stuck)
	finished := end.State.History[0]
	require.Zero(t, finished.Confirmed)
	condition, ok := end.Condition(canary.RolledBack)
	require.True(t, ok)
	require.Contains(t, condition.Message, "not yet confirmed")
	require.Eventually(t, func() bool {
		is := s.proxies("deaf")[0].Routes[0]
		return is.Late && is.Published.Epoch == split.Epoch && is.Observed.Epoch < split.Epoch && is.Observed.At.After(finished.Ended)
	}, patience, 50*time.Millisecond, "it is late, and its logs show the old split")

	hears.release()
	s.until("it has caught up", func(now controller.Snapshot) bool {
		return len(now.Stuck) == 0 && !now.State.History[0].Confirmed.IsZero()
	})
	require.Eventually(t, func() bool {
		return s.proxies("deaf")[0].Routes[0].Observed.Epoch == split.Epoch
	}, patience, 50*time.Millisecond, "and is observed")
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed())
}

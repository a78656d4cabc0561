package plane

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/controller"
)

// away is how long a part of the control plane is gone in these stories.
const away = 4 * time.Second

// A log server that is away in the middle of a rollout: the gap is noticed and named,
// nothing is decided for as long as it matters, no user notices, and the rollout
// goes on by itself to its end.
func TestALogServerThatWasAwayIsNoticedAndTheRolloutGoesOn(t *testing.T) {
	t.Parallel()
	s, logs := newRelayedScene(t, quick, ramp)
	s.until("the proxy", served)
	s.load(100)
	s.write("v2")
	before := s.until("evidence in the second step", func(now controller.Snapshot) bool {
		return stepping(1)(now) && now.Assessment != nil && now.Assessment.Requests["v2"] > now.State.Rollout.Base+10
	})
	logs.cut()
	gone := time.Now()
	blind := s.until("blind", isBlind)
	s.answeredUntil(gone.Add(away))
	still := s.until("blind still", isBlind)
	require.Equal(t, blind.State.Published.Epoch, still.State.Published.Epoch, "nothing is decided meanwhile")
	require.Equal(t, before.State.Rollout.Step, still.State.Rollout.Step)
	require.Contains(t, s.explain(), "blind")
	require.NoError(t, logs.open())
	back := time.Now()
	s.until("sees again", func(now controller.Snapshot) bool { return now.State.Rollout == nil || now.State.Rollout.Blind == nil })
	t.Logf("blind %v after the logs had gone, and %v after they were back", blind.State.Rollout.Blind.Since.Sub(gone), time.Since(back))

	last := s.until("promotion", promoted)
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed())
	gaps := strings.Join(last.Traces[0].Gaps, "\n")
	t.Logf("%d requests meanwhile; %s", len(s.record.Answers().Between(gone, back)), gaps)
	require.Regexp(t, `broke off from`, gaps)
	require.Regexp(t, `for ([4-9]|1\d)(\.\d+)?s`, gaps, "the review says how long it was")
}

func isBlind(now controller.Snapshot) bool {
	return now.State.Rollout != nil && now.State.Rollout.Blind != nil
}

// answeredUntil waits until requests that were due at a moment have been answered.
func (s *scene) answeredUntil(at time.Time) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.record.Answers().Last().After(at) }, patience, 20*time.Millisecond)
}

package live_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
)

var errRefused = errors.New("control plane: connection refused")

// looks are what a watch sees, half a second apart.
func looks(w *live.Watch, sights ...any) (news []string) {
	for i, s := range sights {
		sight := live.Sight{At: noon.Add(time.Duration(i) * 500 * time.Millisecond)}
		switch s := s.(type) {
		case controller.Snapshot:
			sight.Snapshot = s
		case error:
			sight.Err = s
		}
		news = append(news, w.See(sight)...)
	}
	return news
}

// later is the same with more requests seen.
func later(s controller.Snapshot) controller.Snapshot {
	s.Traces = append([]canary.Trace(nil), s.Traces...)
	s.Traces[0].Candidate.Requests += 7
	return s
}

// unconfirmed is an ended rollout whose last split no proxy has acknowledged.
func unconfirmed(after time.Duration) controller.Snapshot {
	s := ended(canary.OutcomeRolledBack)
	s.State.History[0].Confirmed = time.Time{}
	s.At = s.State.History[0].Ended.Add(after)
	return s
}

// stuck is an ended rollout of whose end a connected proxy has not heard.
func stuck(after time.Duration) controller.Snapshot {
	s := unconfirmed(after)
	s.State.History[0].Confirmed, s.State.History[0].Unconfirmed = noon.Add(2*time.Millisecond), []string{"deaf"}
	return s
}

func TestAWatchNamesTheProxiesThatHaveNotHeardOfTheEnd(t *testing.T) {
	news := looks(live.NewWatch(filetype(), live.Look{}), stepping(), stuck(2*time.Second))
	require.Contains(t, news[1], "confirmed=2ms unconfirmed=deaf")
	require.Contains(t, live.Explain(stuck(0), live.Look{}), "but for deaf: no longer waited for")
}

func TestAWatchTellsWhatChanged(t *testing.T) {
	held := stepping()
	held.State.Rollout = new(*held.State.Rollout)
	held.State.Rollout.Hold = &canary.Hold{Actor: "ann", Reason: "lunch"}
	news := looks(live.NewWatch(filetype(), live.Look{}), stepping(), later(stepping()), held, gated(), tripped(), baking(), ended(canary.OutcomePromoted))
	golden(t, "lines_of_a_rollout", strings.Join(news, "\n")+"\n")
	for _, line := range news {
		require.NotContains(t, line, "\x1b")
		require.NotContains(t, line, "\n")
	}
}

func TestAWatchEnds(t *testing.T) {
	next := stepping()
	next.State.Rollout = new(*next.State.Rollout)
	next.State.Rollout.ID = "v3-4-2"
	superseded := ended(canary.OutcomeSuperseded)
	superseded.State.History[0].Confirmed = time.Time{}
	superseded.State.Rollout = next.State.Rollout
	tests := []struct {
		name   string
		sights []any
		over   bool
		want   canary.Outcome
	}{
		{"not while the rollout runs", []any{stepping(), gated(), baking()}, false, ""},
		{"when it is promoted", []any{stepping(), ended(canary.OutcomePromoted)}, true, canary.OutcomePromoted},
		{"when it is rolled back", []any{stepping(), ended(canary.OutcomeRolledBack)}, true, canary.OutcomeRolledBack},
		{"when another took its place", []any{stepping(), superseded}, true, canary.OutcomeSuperseded},
		{"not before every proxy said so", []any{stepping(), unconfirmed(time.Second)}, false, ""},
		{"not while one that is stuck may hear of it", []any{stepping(), stuck(time.Second)}, false, ""},
		{"when the one that is stuck never does", []any{stepping(), stuck(time.Second), stuck(2 * time.Second)}, true, canary.OutcomeRolledBack},
		{"when no proxy ever says so", []any{stepping(), unconfirmed(time.Second), unconfirmed(2 * time.Second)}, true, canary.OutcomeRolledBack},
		{"not at what had ended before", []any{ended(canary.OutcomeRolledBack), ended(canary.OutcomeRolledBack)}, false, ""},
		{"when the next one that began has ended", []any{resting(), stepping(), ended(canary.OutcomePromoted)}, true, canary.OutcomePromoted},
		{"when one began and ended between two looks", []any{resting(), ended(canary.OutcomePromoted)}, true, canary.OutcomePromoted},
		{"when the control plane was away meanwhile", []any{stepping(), errRefused, errRefused, ended(canary.OutcomeRolledBack)}, true, canary.OutcomeRolledBack},
		{"not at a split by hand", []any{divided(), divided()}, false, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := live.NewWatch(filetype(), live.Look{})
			looks(w, test.sights...)
			e, over, err := w.Ended()
			require.NoError(t, err)
			require.Equal(t, test.over, over)
			require.Equal(t, test.want, e.Finished.Outcome)
		})
	}
}

func TestAWatchOutlivesTheControlPlane(t *testing.T) {
	w := live.NewWatch(filetype(), live.Look{})
	news := looks(w, stepping(), errRefused, errRefused, stepping(), stepping())
	require.Equal(t, []string{
		`2026-11-25T12:00:00.500Z ml/filetype event=away msg="control plane away: connection refused"`,
		`2026-11-25T12:00:01.500Z ml/filetype event=back msg="control plane is back after 1s"`,
	}, news[1:])

	looks(w, errRefused)
	since, why := w.Away()
	require.Equal(t, noon, since)
	require.Equal(t, "connection refused", why)
}

func TestAWatchOfWhatIsNotThereFails(t *testing.T) {
	unknown := fmt.Errorf("%w: ml/filetype is not one of: ml/langid", api.ErrNoRoute)
	t.Run("at the first look", func(t *testing.T) {
		w := live.NewWatch(filetype(), live.Look{})
		require.Empty(t, looks(w, errRefused))
		_, over, err := w.Ended()
		require.True(t, over)
		require.ErrorIs(t, err, errRefused)
	})
	t.Run("when the inference route stays unknown", func(t *testing.T) {
		w := live.NewWatch(filetype(), live.Look{})
		sights := []any{stepping()}
		for range 10 {
			sights = append(sights, unknown)
		}
		require.Len(t, looks(w, sights...), 2, "it is said once")
		_, over, _ := w.Ended()
		require.False(t, over, "a control plane that starts may not know it yet")
		w.See(live.Sight{At: noon.Add(5500 * time.Millisecond), Err: unknown})
		_, over, err := w.Ended()
		require.True(t, over)
		require.ErrorIs(t, err, live.ErrLost)
		require.ErrorIs(t, err, api.ErrNoRoute)
	})
	t.Run("when the rollout is in nobody's memory", func(t *testing.T) {
		w := live.NewWatch(filetype(), live.Look{})
		looks(w, stepping(), resting())
		_, over, err := w.Ended()
		require.True(t, over)
		require.EqualError(t, err, "ml/filetype: rollout v3-3-1 is gone from its history")
	})
}

func TestRunningNumbersAloneAreNewsNowAndThen(t *testing.T) {
	w := live.NewWatch(filetype(), live.Look{})
	s, lines := stepping(), 0
	for i := range 241 { // a minute, four looks a second
		s = later(s)
		lines += len(w.See(live.Sight{At: noon.Add(time.Duration(i) * 250 * time.Millisecond), Snapshot: s}))
	}
	require.Equal(t, 7, lines)
}

func TestALineCannotBeForged(t *testing.T) {
	s := stepping()
	s.Waits = []canary.Wait{{Reason: canary.WaitHeld, Text: "held by eve: \"\n2026-11-25T12:00:00Z ml/filetype event=ended outcome=promoted\x1b]0;x\a"}}
	line := live.Line(s, live.Look{})
	require.NotContains(t, line, "\n")
	require.NotContains(t, line, "\x1b")
	require.NotContains(t, line, "\a")
	require.Contains(t, line, `msg="held by eve: \" 2026`)
	s.State.Rollout.Verdict = analysis.Healthy
	require.Contains(t, live.Line(s, live.Look{}), "verdict=healthy")
}

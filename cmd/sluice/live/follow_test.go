package live_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// film is a Glance that shows one thing after the other, and the last for ever.
func film(sights ...any) live.Glance {
	return func(context.Context) (controller.Snapshot, error) {
		now := sights[0]
		if len(sights) > 1 {
			sights = sights[1:]
		}
		switch now := now.(type) {
		case controller.Snapshot:
			return now, nil
		case error:
			return controller.Snapshot{}, now
		}
		panic("film: neither a snapshot nor an error")
	}
}

func TestLinesFollowARolloutToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := live.Config{Key: filetype(), Out: &out, Glance: film(stepping(), errRefused, stepping(), ended(canary.OutcomeRolledBack))}
		e, err := live.Lines(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, canary.OutcomeRolledBack, e.Finished.Outcome)
		require.Equal(t, ended(canary.OutcomeRolledBack), e.Last)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 4)
		require.Contains(t, lines[3], "event=ended rollout=v3-3-1 outcome=rolledBack cause=Evidence confirmed=2ms msg=")
	})
}

func TestLinesEndWithTheirTimeAndSayWhatIsWaitedFor(t *testing.T) {
	tests := []struct {
		name   string
		glance live.Glance
		want   string
	}{
		{"at a step", film(stepping()), "ml/filetype: v3-3 is tried against v3-2: step 2 of 4; waits for LeastTime: step 2 of 4 has lasted 1m12s of at least 2m0s"},
		{"between rollouts", film(resting()), "ml/filetype: v3-2 serves; there was no rollout yet"},
		{"while the control plane is away", film(stepping(), errRefused), "ml/filetype: control plane away: connection refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := live.Lines(ctx, live.Config{Key: filetype(), Out: io.Discard, Glance: test.glance})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.EqualError(t, err, test.want)
			})
		})
	}
}

func TestAControlPlaneThatHangsIsAwayAndNoTimeOut(t *testing.T) {
	hang := func(ctx context.Context) (controller.Snapshot, error) {
		<-ctx.Done()
		return controller.Snapshot{}, ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := live.Lines(t.Context(), live.Config{Key: filetype(), Out: io.Discard, Glance: hang})
		require.EqualError(t, err, "no answer within 2s")
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("a watch that is left at once has seen nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := live.Lines(ctx, live.Config{Key: filetype(), Out: io.Discard, Glance: hang})
		require.EqualError(t, err, "ml/filetype: nothing was seen yet")
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestAReaderThatWentAwayEndsTheLines(t *testing.T) {
	_, err := live.Lines(t.Context(), live.Config{Key: filetype(), Out: broken{}, Glance: film(stepping())})
	require.ErrorIs(t, err, errPipe)
}

var errPipe = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errPipe }

func TestScreensLeaveTheLastOneBehind(t *testing.T) {
	c := live.Config{
		Key: filetype(), Look: live.Look{Width: 100}, Every: time.Millisecond,
		Glance: film(stepping(), errRefused, stepping(), ended(canary.OutcomePromoted)),
	}
	var out bytes.Buffer
	c.Out = &out
	e, err := live.Screens(t.Context(), nil, c)
	require.NoError(t, err)
	require.Equal(t, canary.OutcomePromoted, e.Finished.Outcome)
	left := live.Screen(ended(canary.OutcomePromoted), c.Look)
	_, after, found := strings.Cut(out.String(), left)
	require.True(t, found)
	require.Contains(t, after, "event=ended rollout=v3-3-1 outcome=promoted")
}

func TestScreensEnd(t *testing.T) {
	c := live.Config{Key: filetype(), Look: live.Look{Width: 100}, Out: io.Discard, Every: time.Millisecond, Glance: film(stepping())}
	t.Run("when the reader leaves", func(t *testing.T) {
		_, err := live.Screens(t.Context(), strings.NewReader("q"), c)
		require.ErrorIs(t, err, live.ErrLeft)
	})
	t.Run("when the reader interrupts", func(t *testing.T) {
		_, err := live.Screens(t.Context(), strings.NewReader("\x03"), c)
		require.ErrorIs(t, err, live.ErrLeft)
	})
	t.Run("with their time", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := live.Screens(ctx, nil, c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("when there is nothing to see", func(t *testing.T) {
		c := c
		c.Glance = film(errRefused)
		_, err := live.Screens(t.Context(), nil, c)
		require.ErrorIs(t, err, errRefused)
	})
}

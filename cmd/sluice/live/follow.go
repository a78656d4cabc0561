package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// Glance gives an inference route as it is now. An error is said, and the next
// look may do better.
type Glance func(context.Context) (controller.Snapshot, error)

// Config says what to follow, and how.
type Config struct {
	Key    config.Key
	Glance Glance
	Out    io.Writer
	Look   Look
	Every  time.Duration // between looks; default 250ms
}

// glanceTime bounds one look, so that a control plane that hangs is away, too.
const glanceTime = 2 * time.Second

func (c Config) every() time.Duration {
	if c.Every <= 0 {
		return 250 * time.Millisecond
	}
	return c.Every
}

// glance looks once.
func (c Config) glance(ctx context.Context) Sight {
	brief, cancel := context.WithTimeout(ctx, glanceTime)
	defer cancel()
	s, err := c.Glance(brief)
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no answer within %s", glanceTime)
	}
	return Sight{At: time.Now(), Snapshot: s, Err: err}
}

// Lines follows until the rollout ends or ctx does, with a line for whatever is
// new.
func Lines(ctx context.Context, c Config) (Ending, error) {
	watch := NewWatch(c.Key, c.Look)
	ticker := time.NewTicker(c.every())
	defer ticker.Stop()
	for {
		sight := c.glance(ctx)
		if ctx.Err() != nil {
			return interrupted(ctx, watch)
		}
		for _, line := range watch.See(sight) {
			if _, err := fmt.Fprintln(c.Out, line); err != nil {
				return Ending{}, err
			}
		}
		if e, over, err := watch.Ended(); over {
			return e, err
		}
		select {
		case <-ctx.Done():
			return interrupted(ctx, watch)
		case <-ticker.C:
		}
	}
}

// stopped is a context's end with what was still going on.
type stopped struct {
	text  string
	cause error
}

func (e *stopped) Error() string { return e.text }

func (e *stopped) Unwrap() error { return e.cause }

// interrupted says what was still going on.
func interrupted(ctx context.Context, w *Watch) (Ending, error) {
	last, seen := w.Last()
	_, why := w.Away()
	text := w.key.String() + ": "
	switch {
	case !seen:
		text += "nothing was seen yet"
	case why != "":
		text += "control plane away: " + why
	case len(last.Waits) > 0:
		text += fmt.Sprintf("%s; waits for %s: %s", last.Standing(), last.Waits[0].Reason, last.Waits[0].Text)
	default:
		text += last.Standing()
	}
	return Ending{Last: last}, &stopped{text, ctx.Err()}
}

// ErrLeft says that the reader left before the rollout ended.
var ErrLeft = errors.New("left before the rollout ended")

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// How the demo passes its time.
const (
	glance   = 250 * time.Millisecond // how often the control plane is asked
	silence  = 8 * time.Second        // after it a line comes though nothing changed
	prologue = 8 * time.Second        // stable alone
	epilogue = 2 * time.Second        // of traffic after the end, to see that it is one
	limit    = 170 * time.Second      // of a rollout
)

// telling is one story while it is told.
type telling struct {
	story
	manifest manifest
	client   *api.Client
	record   stage.Record
	out      *printer

	last     controller.Snapshot
	seq      uint64 // of the newest decision that was told
	line     string // without its numbers, told last
	told     time.Time
	finished *canary.Finished
}

// tell plays one story: stable alone for a while, then the new target, until
// the rollout ends. It fails where nothing ended in time.
func (t *telling) tell(ctx context.Context, routes string, load stage.Load) error {
	sending, stop := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- load.Run(sending) }()
	err := t.play(ctx, routes)
	stop()
	return errors.Join(err, <-sent)
}

func (t *telling) play(ctx context.Context, routes string) error {
	if err := pause(ctx, prologue); err != nil {
		return err
	}
	before, err := t.client.Get(ctx, t.Key())
	if err != nil {
		return err
	}
	t.seq = before.State.Seq
	t.manifest.Target = candidate
	if err := t.manifest.write(routes); err != nil {
		return err
	}
	t.out.sayf("%-6s  target: %s is now in %s.yaml", t.Name, candidate, t.Name)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := t.follow(limited); err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	return pause(ctx, epilogue)
}

// follow tells what happens until the rollout has ended and every proxy said so.
func (t *telling) follow(ctx context.Context) error {
	for {
		snapshot, err := t.client.Get(ctx, t.Key())
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			t.last = snapshot
			t.news(ctx)
		}
		if t.ended() {
			return nil
		}
		if err := pause(ctx, glance); err != nil {
			return fmt.Errorf("the rollout has not ended in time: %w; %s", err, t.status())
		}
	}
}

// ended says whether the rollout is over and confirmed.
func (t *telling) ended() bool {
	s := t.last.State
	if s.Rollout != nil || len(s.History) == 0 || s.History[0].Candidate != candidate || s.History[0].Confirmed.IsZero() {
		return false
	}
	t.finished = &s.History[0]
	return true
}

// news prints decisions that are new, and how things stand whenever that
// changed or nothing was said for a while.
func (t *telling) news(ctx context.Context) {
	for _, d := range t.decisions(ctx) {
		t.out.sayf("%-6s  · %s", t.Name, short(d.Text))
	}
	line, numbers := t.standing()
	if line != t.line || time.Since(t.told) >= silence {
		t.line, t.told = line, time.Now()
		t.out.sayf("%-6s  %s%s", t.Name, line, numbers)
	}
}

// decisions are those taken since the last time, but for mere acknowledgements,
// which the standing shows.
func (t *telling) decisions(ctx context.Context) []canary.Decision {
	if t.last.State.Seq == t.seq {
		return nil
	}
	all, err := t.client.Decisions(ctx, t.Key(), "")
	if err != nil {
		return nil // it is asked again; a control plane that stays away ends the story
	}
	var fresh []canary.Decision
	for _, d := range all {
		if d.Seq <= t.seq {
			continue
		}
		t.seq = d.Seq
		if d.Event != canary.KindAcked && d.Event != canary.KindObserved && d.Event != canary.KindResized {
			fresh = append(fresh, d)
		}
	}
	return fresh
}

// status is everything that was last known, for when something went wrong.
func (t *telling) status() string {
	line, numbers := t.standing()
	texts := []string{line + numbers}
	for _, w := range t.last.Waits {
		texts = append(texts, w.Text)
	}
	if t.last.Refusal != "" {
		texts = append(texts, t.last.Refusal)
	}
	return strings.Join(texts, "; ")
}

// short cuts a sentence where it gets too long for a line.
func short(text string) string {
	const most = 150
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// pause waits, or says why it did not.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

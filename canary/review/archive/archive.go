// Package archive writes the review of every rollout that ends into a folder,
// gives the review of any rollout to whoever asks, and forgets the oldest with
// their decisions. What a review says is canary/review's to decide.
//
// Start reading at Archive.Run.
package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

// Log keeps decisions. canary/filestore is one.
type Log interface {
	// Decisions gives the decisions of a rollout, oldest first; all of the route's
	// where rollout is empty.
	Decisions(k config.Key, rollout string) ([]canary.Decision, error)
	// Rollouts lists the rollouts that have decisions, in any order.
	Rollouts(k config.Key) ([]string, error)
	// Forget drops the decisions of rollouts; one that is not there is no error.
	Forget(k config.Key, rollouts ...string) error
}

// DefaultKeep is how many reviews of an inference route are kept where nobody says otherwise.
const DefaultKeep = 100

// settle is how long after its end a request may still be reported. A review is
// written at once, again when what is quick has been reported, and a last time when
// the request time-out has passed for what was not: requests that hang tell most.
const settle = 2 * time.Second

// Config of an Archive.
type Config struct {
	Folder  string // reviews go to Folder/NAMESPACE/NAME/ROLLOUT/review.{json,html}
	Log     Log
	Current func(config.Key) (controller.Snapshot, bool)
	// Keep is how many ended rollouts of an inference route have their review and decisions kept, the newest.
	// What Spared names is kept beyond that. Default DefaultKeep.
	Keep int
	Slog *slog.Logger // default: none
}

// Archive is a controller's Recorder and an API's archive.
type Archive struct {
	Config

	changed chan told
}

// ended names a rollout that has ended.
type ended struct {
	route   config.Key
	rollout string
}

// told is an end, and what was known with it: of an inference route that is withdrawn
// nobody knows more later.
type told struct {
	ended
	then controller.Snapshot
}

// due is when a review is written again.
type due struct {
	at   []time.Time
	then controller.Snapshot
}

// New checks c.
func New(c Config) (*Archive, error) {
	if c.Folder == "" || c.Log == nil || c.Current == nil {
		return nil, errors.New("archive: Folder, Log and Current must be given")
	}
	if c.Keep < 0 {
		return nil, fmt.Errorf("archive: Keep is negative, found %d", c.Keep)
	}
	c.Keep = cmp.Or(c.Keep, DefaultKeep)
	if c.Slog == nil {
		c.Slog = slog.New(slog.DiscardHandler)
	}
	return &Archive{Config: c, changed: make(chan told, 1024)}, nil
}

// Record notes that a route's newest ended rollout may read differently now.
func (a *Archive) Record(d canary.Decision, s controller.Snapshot) {
	if d.Rollout == "" || !over(s.State, d.Rollout) {
		return
	}
	select {
	case a.changed <- told{ended{d.Route, d.Rollout}, s}:
	default:
		a.Slog.Error("review not written: too many rollouts ended at once", "route", d.Route.String(), "rollout", d.Rollout)
	}
}

// Run writes reviews until ctx ends, and then those that are still due.
func (a *Archive) Run(ctx context.Context) error {
	all := map[ended]due{}
	ticker := time.NewTicker(settle / 4)
	defer ticker.Stop()
	for {
		select {
		case e := <-a.changed:
			if _, soon := all[e.ended]; !soon {
				a.write(e.ended, e.then)
			}
			soon := time.Now().Add(settle)
			all[e.ended] = due{[]time.Time{soon, soon.Add(e.then.Route.Timeouts.Request.D())}, e.then}
		case now := <-ticker.C:
			a.writeDue(now, all)
		case <-ctx.Done():
			for e, d := range all {
				a.write(e, d.then)
			}
			return ctx.Err()
		}
	}
}

// writeDue writes what is due, and forgets what is due no more.
func (a *Archive) writeDue(now time.Time, all map[ended]due) {
	for e, d := range all {
		if !now.After(d.at[0]) {
			continue
		}
		a.write(e, d.then)
		a.prune(e.route)
		if d.at = d.at[1:]; len(d.at) == 0 {
			delete(all, e)
		} else {
			all[e] = d
		}
	}
}

// write makes the files of an ended rollout, as long as the snapshot knows it.
func (a *Archive) write(e ended, then controller.Snapshot) {
	k, id := e.route, e.rollout
	s, ok := a.Current(k)
	if !ok || s.State.Seq < then.State.Seq { // gone, or not yet told of the end
		s = then
	}
	if !known(s.State, id) {
		return
	}
	r, err := a.build(s, id)
	if err == nil {
		if was, err := a.read(k, id); err == nil && r.Same(was) {
			return
		}
		err = a.keep(r)
	}
	if err != nil {
		a.Slog.Error("review not written", "route", k.String(), "rollout", id, "error", err)
		return
	}
	a.Slog.Info("review written", "route", k.String(), "rollout", id, "outcome", r.Decision.Outcome, "path", a.path(k, id, "html"), "hash", r.Hash)
}

func (a *Archive) keep(r review.Review) error {
	data, err := r.JSON()
	if err != nil {
		return err
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(a.path(r.Route, r.Rollout, "json")), 0o750); err != nil {
		return err
	}
	return errors.Join(replace(a.path(r.Route, r.Rollout, "json"), data), replace(a.path(r.Route, r.Rollout, "html"), page))
}

func (a *Archive) path(k config.Key, rollout, kind string) string {
	return filepath.Join(a.Folder, k.Namespace, k.Name, rollout, "review."+kind)
}

// replace writes a file whole.
func replace(path string, data []byte) error {
	half := path + ".half"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return err
	}
	return os.Rename(half, path)
}

// Decisions gives the log of a rollout, or of the whole route.
func (a *Archive) Decisions(k config.Key, rollout string) ([]canary.Decision, error) {
	return a.Log.Decisions(k, rollout)
}

// Review gives the review of a rollout; empty means the one that runs, or else
// the last. One that the snapshot no longer knows is read from its file, and so
// is one of an inference route that is gone.
func (a *Archive) Review(k config.Key, rollout string) (review.Review, error) {
	s, _ := a.Current(k) // none of an inference route that is gone: its files are still there
	if rollout == "" {
		var err error
		if rollout, err = a.newest(k, s.State); err != nil {
			return review.Review{}, err
		}
	}
	if known(s.State, rollout) {
		return a.build(s, rollout)
	}
	return a.read(k, rollout)
}

// read gives a review from its file.
func (a *Archive) read(k config.Key, rollout string) (review.Review, error) {
	if filepath.Base(rollout) != rollout {
		return review.Review{}, fmt.Errorf("%w: %s: rollout %q is not a name", review.ErrNone, k, rollout)
	}
	data, err := os.ReadFile(a.path(k, rollout, "json"))
	if errors.Is(err, os.ErrNotExist) {
		return review.Review{}, fmt.Errorf("%w: %s: there is no rollout %q", review.ErrNone, k, rollout)
	}
	if err != nil {
		return review.Review{}, err
	}
	return review.Parse(data)
}

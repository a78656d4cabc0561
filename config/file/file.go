// Package file delivers whole, valid configs from a file or a folder, and a new
// one whenever somebody edits it. It decides nothing about what is written there:
// config.Parse does. It never delivers a part of an edit that Parse refuses.
//
// Start reading at Source.Run.
package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sluice-dev/sluice/config"
)

// Update is what one edit came to.
type Update struct {
	Config *config.Config // nil where Err is set: the last good one stays in force
	Err    error          // config.Mistakes, or why nothing could be read
}

// Config of a Source.
type Config struct {
	// Path of a file, or of a folder whose *.yaml, *.yml and *.json files are read
	// together. Names that begin with a dot and subfolders are left out.
	Path string
	// Deliver takes what is there when Run begins and after every edit that changes
	// it, from Run's goroutine, one call at a time. Its context is Run's: when that ends
	// nobody may be there any more to take what is delivered.
	Deliver func(context.Context, Update)
	// Settle is how long nothing may have happened before an edit is read, so that
	// a file is not read half written. What was renamed into place is whole and read
	// at once, where the system tells of that (Linux does), unless an inference route
	// or a policy is gone then, or something is wrong: the rest of the edit may be on its
	// way. Whoever edits several files that belong together renames their folder, or a
	// link to it. Default 20ms.
	Settle time.Duration
}

const (
	// patience is how many Settles a stream of events is waited out before it is read
	// nevertheless.
	patience = 50
	// events that come while others are read are kept, so many.
	buffered = 1024
)

// Source watches a file or a folder.
type Source struct {
	config Config
}

// New checks the config and fills its defaults. It does not read the path: what
// is wrong there is delivered, and may be mended.
func New(c Config) (*Source, error) {
	if c.Path == "" {
		return nil, errors.New("file: Path is empty")
	}
	if c.Deliver == nil {
		return nil, errors.New("file: Deliver is nil")
	}
	if c.Settle <= 0 {
		c.Settle = 20 * time.Millisecond
	}
	return &Source{config: c}, nil
}

// Run delivers until ctx ends, and returns its error then; any other error is
// that the path cannot be watched.
func (s *Source) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewBufferedWatcher(buffered)
	if err != nil {
		return fmt.Errorf("%s: cannot be watched: %w", s.config.Path, err)
	}
	defer func() { _ = watcher.Close() }() // nothing is left to be told

	var last state
	var good *config.Config
	edited := overdue
	for ctx.Err() == nil {
		w, err := s.watch(watcher)
		if err != nil {
			return fmt.Errorf("%s: cannot be watched: %w", s.config.Path, err)
		}
		now := readState(s.config.Path)
		meanwhile := w.pending(watcher)
		if !now.equal(last) {
			update := now.update()
			switch {
			case edited == wholly && !update.keeps(good):
				meanwhile = max(meanwhile, elsewhere) // the rest may be on its way
			case edited != overdue && meanwhile == partly:
			default:
				last, good = now, cmp.Or(update.Config, good)
				s.config.Deliver(ctx, update)
			}
		}
		if edited, err = s.wait(ctx, watcher, w, meanwhile); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// watch follows every folder in which an edit can happen, and no other. A folder
// may have been replaced by another of its name, so each is added again.
func (s *Source) watch(watcher *fsnotify.Watcher) (way, error) {
	w := wayTo(s.config.Path)
	for folder := range w.folders {
		if err := watcher.Add(folder); err != nil && !isGone(err) {
			return way{}, err
		}
	}
	for _, folder := range watcher.WatchList() {
		if !w.folders[folder] {
			_ = watcher.Remove(folder) // it may be gone already
		}
	}
	return w, nil
}

// wait returns when something has happened that can be read, and says what. What has
// begun is a part of it.
func (s *Source) wait(ctx context.Context, watcher *fsnotify.Watcher, w way, begun edit) (edit, error) {
	var settled, enough <-chan time.Time // nil until the first event
	for seen := begun; ; {
		if seen = max(seen, w.pending(watcher)); seen == wholly {
			return seen, nil
		}
		if seen != nothing {
			settled = time.After(s.config.Settle)
		}
		if seen != nothing && enough == nil {
			enough = time.After(patience * s.config.Settle)
		}
		select {
		case <-ctx.Done():
			return seen, ctx.Err()
		case <-settled:
			return seen, nil
		case <-enough:
			return overdue, nil
		case err := <-watcher.Errors:
			_, seen = err, partly // events were lost, and what is there is read anyway
		case e := <-watcher.Events:
			seen = max(seen, w.edit(e))
		}
	}
}

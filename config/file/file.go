// Package file delivers whole, valid configs from a file or a folder, and a new
// one whenever somebody edits it. It decides nothing about what is written there:
// config.Parse does. It never delivers a part of an edit that Parse refuses.
//
// Start reading at Source.Run.
package file

import (
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
	// a file is not read half written. Default 20ms.
	Settle time.Duration
}

// patience is how many Settles a stream of events is waited out before it is read
// nevertheless.
const patience = 50

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
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("%s: cannot be watched: %w", s.config.Path, err)
	}
	defer func() { _ = watcher.Close() }() // nothing is left to be told

	var last state
	for ctx.Err() == nil {
		if err := s.watch(watcher); err != nil {
			return fmt.Errorf("%s: cannot be watched: %w", s.config.Path, err)
		}
		if now := readState(s.config.Path); !now.equal(last) {
			last = now
			s.config.Deliver(ctx, now.update())
		}
		if err := s.wait(ctx, watcher); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// watch follows every folder in which an edit can happen, and no other. A folder
// may have been replaced by another of its name, so each is added again.
func (s *Source) watch(watcher *fsnotify.Watcher) error {
	wanted := map[string]bool{}
	for _, folder := range foldersOf(s.config.Path) {
		wanted[folder] = true
		if err := watcher.Add(folder); err != nil && !isGone(err) {
			return err
		}
	}
	for _, folder := range watcher.WatchList() {
		if !wanted[folder] {
			_ = watcher.Remove(folder) // it may be gone already
		}
	}
	return nil
}

// wait returns when something has happened and settled.
func (s *Source) wait(ctx context.Context, watcher *fsnotify.Watcher) error {
	var settled, enough <-chan time.Time // nil until the first event
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-settled:
			return nil
		case <-enough:
			return nil
		case err := <-watcher.Errors:
			_ = err // events were lost, and what is there is read anyway
		case <-watcher.Events:
		}
		settled = time.After(s.config.Settle)
		if enough == nil {
			enough = time.After(patience * s.config.Settle)
		}
	}
}

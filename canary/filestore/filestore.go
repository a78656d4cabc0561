// Package filestore keeps the states and decisions of all inference
// routes in one bbolt file. What it saved is durable when Save returns, a state
// together with its decisions or neither. One process holds the file at a time.
// It decides nothing and understands only as much of a state as its key, and whether an
// A/B test runs.
//
// Start reading at Open, then Store.Save.
package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Format is the version of the file's layout that this package writes.
const Format = "1"

// Errors that callers tell apart.
var (
	// ErrHeld says that another process holds the file.
	ErrHeld = errors.New("another sluice run holds it")
	// ErrForeign says that the file is not a state file, or is damaged.
	ErrForeign = errors.New("is not a sluice state file, or is damaged")
	// ErrFormat says that the file was written by a version with another layout.
	ErrFormat = errors.New("has another format")
)

// patience is how long Open waits for another process to let go of the file.
const patience = time.Second

// Names of buckets and keys.
const (
	metaBucket   = "sluice"
	formatKey    = "format"
	routesBucket = "routes"
	stateKey     = "state"
	decisions    = "decisions"
)

// Store is an open state file. It is safe for concurrent use.
type Store struct {
	path string
	db   *bolt.DB
}

// Open opens the state file at path, or makes one, and holds it until Close.
// errors: ErrHeld, ErrForeign, ErrFormat, or the file system's.
func Open(path string) (*Store, error) {
	db, err := open(path)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrHeld)
	case fromFileSystem(err):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %w", path, ErrForeign, err)
	}
	s := &Store{path: path, db: db}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// fromFileSystem says whether an error is about the file and not about what is in it. Its text names the path.
func fromFileSystem(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// open turns bbolt's panics on damaged pages into errors.
func open(path string) (db *bolt.DB, err error) {
	defer recovered(&err)
	return bolt.Open(path, 0o600, &bolt.Options{Timeout: patience})
}

// recovered makes an error of a panic: bbolt panics on pages that make no sense.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("damaged page: %v", p)
	}
}

// prepare checks that the file is ours, or makes it so if it is empty.
func (s *Store) prepare() (err error) {
	defer recovered(&err)
	return s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket([]byte(metaBucket))
		if meta == nil {
			return s.found(tx)
		}
		if format := string(meta.Get([]byte(formatKey))); format != Format {
			return fmt.Errorf("%s: %w: found %q, this version writes %q", s.path, ErrFormat, format, Format)
		}
		return nil
	})
}

// found writes the layout into an empty file.
func (s *Store) found(tx *bolt.Tx) error {
	if name, _ := tx.Cursor().First(); name != nil {
		return fmt.Errorf("%s: %w: found bucket %q", s.path, ErrForeign, name)
	}
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	_, err = tx.CreateBucket([]byte(routesBucket))
	return errors.Join(err, meta.Put([]byte(formatKey), []byte(Format)))
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

// view reads in one transaction.
func (s *Store) view(read func(*bolt.Tx) error) (err error) {
	defer recovered(&err)
	return s.named(s.db.View(read))
}

// update writes in one transaction, durable when it returns.
func (s *Store) update(write func(*bolt.Tx) error) (err error) {
	defer recovered(&err)
	return s.named(s.db.Update(write))
}

func (s *Store) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

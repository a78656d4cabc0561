// Package replay judges a recording of requests by the engine that judges live
// traffic: the same windows, evidence, trip and settlement, on the recording's
// own clock. It reads one JSON object a line, in a form of its own or as Envoy's
// access logs write them, keeps no line, and says of a bad one which it is and
// what is wrong. It never waits, and never asks what time it is.
//
// A recording does not react: what a trip would have taken away goes on in it.
// So the candidate's requests after a trip stand for the mirrored copies that
// would have settled it.
//
// Start reading at Run, then player.tick.
package replay

import (
	"errors"
	"fmt"
	"io"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Config of a replay.
type Config struct {
	// Name of the recording, in messages. Default "recording".
	Name string
	// Policy is a parsed policy, with its defaults.
	Policy config.PolicySpec
	// Stable and Candidate are the arms: the version in a line, or in the name of its
	// cluster; or the whole name of a cluster. Required, and not the same.
	Stable, Candidate string
	// Segments is how many segments of requests are watched for errors and times of their own, as
	// "segment" in a line names them, from 0 to 100. Default none.
	Segments int
	// Bad hears of each line that is not as it should be, as a *LineError; it is then
	// passed over. Nil: the first one ends the replay.
	Bad func(error)
	// Progress hears how many bytes were read, now and then. Optional.
	Progress func(bytes int64)
}

// LineError says what is wrong with a line.
type LineError struct {
	Name string // of the recording
	Line int64  // counted from 1
	Fact string // with the field's name, and what was found
}

// Error gives "name:line: fact".
func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Fact) }

// mostSegments bounds how many segments are watched.
const mostSegments = 100

// Run replays a recording to its end. Memory is bounded whatever its length: by
// the pods of the last seconds, and the longest line, 1 MiB.
// errors: a *LineError, where Config.Bad is nil; what in returns; arms that are
// missing or the same; segments out of bounds.
func Run(in io.Reader, c Config) (Result, error) {
	if c.Stable == "" || c.Candidate == "" || c.Stable == c.Candidate {
		return Result{}, fmt.Errorf("arms: stable and candidate must be two versions, found %q and %q", c.Stable, c.Candidate)
	}
	if c.Segments < 0 || c.Segments > mostSegments {
		return Result{}, fmt.Errorf("segments: is not from 0 to %d, found %d", mostSegments, c.Segments)
	}
	if c.Name == "" {
		c.Name = "recording"
	}
	p := newPlayer(c.Policy, analysis.Arms{Stable: c.Stable, Candidate: c.Candidate})
	p.evidence = p.evidence.Segmented(c.Segments)
	r := &run{Config: c, lines: newLines(in), reader: newReader(c.Stable, c.Candidate), player: p}
	if err := r.all(); err != nil {
		return Result{}, err
	}
	return r.result(p), nil
}

// run is one replay under way.
type run struct {
	Config

	lines  *lines
	reader *reader
	player taker
	doubts doubts
	lacks  lacks

	skipped  int64
	firstBad *LineError // of those skipped
	others   int64
	names    others
}

// taker takes the requests of the arms.
type taker interface {
	play(r analysis.Request)
}

// progressEvery is how many lines lie between two reports of progress.
const progressEvery = 1 << 14

func (r *run) all() error {
	for {
		line, err := r.lines.next()
		if errors.Is(err, io.EOF) {
			return r.settle(0)
		}
		if r.Progress != nil && r.lines.number%progressEvery == 0 {
			r.Progress(r.lines.bytes)
		}
		if err == nil {
			err = r.take(line)
		}
		if err := r.bad(err, r.lines.number); err != nil {
			return err
		}
	}
}

// take plays one line. An empty one says nothing.
func (r *run) take(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	q, of, err := r.reader.read(line)
	if err != nil {
		return err
	}
	if of == ofOther {
		r.others++
		r.names.see(q.Version)
		return nil
	}
	return r.hold(q)
}

// bad turns what is wrong with a line into an error with its place, or passes it
// over where that was asked for. Other errors stay.
func (r *run) bad(err error, line int64) error {
	var fact factError
	if !errors.As(err, &fact) {
		return err
	}
	placed := &LineError{Name: r.Name, Line: line, Fact: string(fact)}
	if r.Bad == nil {
		return placed
	}
	if r.skipped++; r.firstBad == nil {
		r.firstBad = placed
	}
	r.Bad(placed)
	return nil
}

// factError is what is wrong with a line, without its place.
type factError string

// Error gives the fact.
func (f factError) Error() string { return string(f) }

func factf(format string, args ...any) error { return factError(fmt.Sprintf(format, args...)) }

package replay

import (
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

const (
	// disorder is how far a line may end before one above it; and one that ends further
	// after all above it is in doubt.
	disorder = 10 * time.Second
	// witnesses is how many lines below one in doubt are asked.
	witnesses = 32
)

// doubts are the lines that are held back from the first one in doubt on. Nobody can
// tell a silence from a wrong clock but by what comes next.
type doubts struct {
	now  time.Time // when the last request ended of those let through; zero before the first
	held []held
}

// held is a request that waits for others to bear it out.
type held struct {
	analysis.Request

	line int64
}

// doubtful says whether a request ends far after all that was let through. So does the
// first one.
func (d *doubts) doubtful(r analysis.Request) bool { return r.End().Sub(d.now) > disorder }

// refuted says whether most of the lines that came after the first one in doubt ended
// long before it.
func (d *doubts) refuted() bool {
	end, before := d.held[0].End(), 0
	for _, h := range d.held[1:] {
		if end.Sub(h.End()) > disorder {
			before++
		}
	}
	return 2*before > len(d.held)-1
}

// stray says whether all lines below the very first one ended a day and more after it.
func (d *doubts) stray() bool {
	if !d.now.IsZero() || len(d.held) < 2 {
		return false
	}
	return !slices.ContainsFunc(d.held[1:], func(h held) bool { return h.End().Sub(d.held[0].End()) < 24*time.Hour })
}

// hold lets a request through that nobody doubts, and holds others back.
func (r *run) hold(q analysis.Request) error {
	h := held{q, r.lines.number}
	if len(r.doubts.held) == 0 && !r.doubts.doubtful(q) {
		return r.let(h)
	}
	r.doubts.held = append(r.doubts.held, h)
	return r.settle(witnesses)
}

// settle decides on what is held, but for what has too few witnesses yet.
func (r *run) settle(most int) error {
	d := &r.doubts
	for len(d.held) > 0 {
		first := d.held[0]
		var err error
		switch far := d.doubtful(first.Request); {
		case far && len(d.held) <= most:
			return nil
		case far && d.refuted():
			err = factf("ends %s after the line below it, as after most of the next %d lines: they must come in the order in which requests ended",
				first.End().Sub(d.held[1].End()).Round(time.Millisecond), len(d.held)-1)
		case d.stray():
			err = factf("ends %s before the line below it, and before all of the next %d lines: it is of no time of theirs",
				d.held[1].End().Sub(first.End()).Round(time.Millisecond), len(d.held)-1)
		default:
			err = r.let(first)
		}
		if err := r.bad(err, first.line); err != nil {
			return err
		}
		d.held = append(d.held[:0], d.held[1:]...)
	}
	return nil
}

// let gives a request to the player.
// errors: a factError for one that is late.
func (r *run) let(h held) error {
	end := h.End()
	if late := r.doubts.now.Sub(end); late > disorder {
		return factf("ends %s before a line above it: lines must come in the order in which requests ended", late.Round(time.Millisecond))
	}
	if end.After(r.doubts.now) {
		r.doubts.now = end
	}
	r.lacks.see(h.Request)
	r.player.play(h.Request)
	return nil
}

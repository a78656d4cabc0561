package world

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Truth is what the users know.
type Truth struct {
	Requests  int // live, of both versions
	Candidate int // live requests that the candidate served
	Mirrored  int
	Failed    int // live requests that failed, of both versions
	Hurt      int // live requests that the candidate failed

	// FirstCandidate and LastCandidate are when the candidate's first and last live
	// request started.
	FirstCandidate, LastCandidate time.Time

	Stopped bool // the driver called Stop
}

// Exposure runs from the candidate's first live request to its last.
func (t Truth) Exposure() time.Duration { return t.LastCandidate.Sub(t.FirstCandidate) }

func (t *Truth) sent(w *World, r analysis.Request) {
	if r.Shadow {
		t.Mirrored++
		return
	}
	t.Requests++
	if r.Outcome.Error() {
		t.Failed++
	}
	if r.Version != w.spec.Arms.Candidate {
		return
	}
	if t.Candidate == 0 {
		t.FirstCandidate = r.Start
	}
	t.LastCandidate = r.Start
	t.Candidate++
	if r.Outcome.Error() {
		t.Hurt++
	}
}

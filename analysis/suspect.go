package analysis

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// suspect is what a trip can suspect the candidate of.
type suspect int

const (
	suspectErrors suspect = iota
	suspectMedian         // slower than stable's median, and the tolerance, too often
	suspectTail           // likewise, than stable's p95
	suspects
)

// edgeSuspects are those with an edge of stable's, in the order of edges.
func edgeSuspects() [2]suspect { return [2]suspect{suspectMedian, suspectTail} }

// edges are latencies of which stable's p50 and p95 are the origin; 0 is unknown.
type edges [2]time.Duration

func (s suspect) String() string {
	return [suspects]string{"errors", "latency-p50", "latency-p95"}[s]
}

// share is the suspect's part of what a settlement may spend; they sum to one.
func (s suspect) share() float64 { return [suspects]float64{0.5, 0.25, 0.25}[s] }

// excess is how often a healthy candidate may exceed stable's edge.
func (s suspect) excess() float64 { return [suspects]float64{0, 0.5, 0.05}[s] }

// shifts are the alternatives, in log odds above the limit. They are the large
// ones of the grid of statistics §2a: smaller effects are left to the final tests.
func (s suspect) shifts() []float64 {
	if s == suspectErrors {
		return []float64{2.07, 2.89, 4.05, 5.67, 7.94}
	}
	return []float64{1.48, 2.07, 2.89, 4.05}
}

// opening is how many seconds old a start point is at least. One queue's burst is
// shorter than that of latency.
func (s suspect) opening() int64 { return [suspects]int64{0, 4, 4}[s] }

// pace is how many requests' worth of evidence one second gives at most: requests
// that wait in one queue are late together.
func (s suspect) pace() float64 { return [suspects]float64{1e9, 4, 4}[s] }

// spread is what the evidence must come to without the loudest pod, in nats.
func (s suspect) spread() float64 { return [suspects]float64{0.5, 1, 1}[s] }

// tally counts requests and bad ones for each suspect.
type tally [suspects]rate

func (t tally) plus(o tally) tally {
	for s := range t {
		t[s] = t[s].plus(o[s])
	}
	return t
}

// tallyOf says what one request is to each suspect. Unknown edges count nothing. Of one
// that waits, or whose client left, it is known that it took longer than that, and so
// nothing unless that is past an edge.
func tallyOf(r Request, e edges) tally {
	var t tally
	endless := r.Running || r.Outcome == Abandoned
	if !endless {
		t[suspectErrors] = rateOf(r.Outcome.Error())
	}
	if !r.Running && r.Outcome == Failed {
		return t // a fast failure is no fast success
	}
	for i, s := range edgeSuspects() {
		slow := !r.Running && r.Outcome == TimedOut || r.Duration > e[i]
		if e[i] > 0 && (slow || !endless) {
			t[s] = rateOf(slow)
		}
	}
	return t
}

// marks are the suspects to whom a request is bad.
func (t tally) marks() (m marks) {
	for s := range t {
		if t[s].Bad > 0 {
			m |= 1 << s
		}
	}
	return m
}

// without leaves out what was counted already.
func (t tally) without(m marks) tally {
	for s := range t {
		if m>>s&1 == 1 {
			t[s] = rate{}
		}
	}
	return t
}

// rateOf counts one request, given what is to be said of it.
func rateOf(bad bool) rate { //nolint:revive // it is a count of 0 or 1, no control
	if bad {
		return rate{N: 1, Bad: 1}
	}
	return rate{N: 1}
}

// Suspicion is why a trip fired. It is saved with the rollout, and its settlement
// starts from it.
type Suspicion struct {
	At        time.Time `json:"at"`
	Metric    string    `json:"metric"` // "errors", "latency-p50", "latency-p95"
	LogE      float64   `json:"logE"`   // nats
	LogNeeded float64   `json:"logNeeded"`

	Since time.Time      `json:"since"` // the start point that says most
	N     int64          `json:"n"`     // candidate requests since
	Bad   int64          `json:"bad"`   // of N: failed, or slower than the edge
	Limit config.Percent `json:"limit"` // share of bad requests that is nothing to suspect

	// ErrorLimit, MedianEdge and TailEdge are the limits of all suspects, at the time:
	// an error rate, and stable's p50 and p95 times the tolerance. 0 is unknown.
	ErrorLimit config.Percent  `json:"errorLimit"`
	MedianEdge config.Duration `json:"medianEdge"`
	TailEdge   config.Duration `json:"tailEdge"`
}

// Reason is one sentence with numbers.
func (s Suspicion) Reason() string {
	within := s.At.Sub(s.Since).Round(100 * time.Millisecond)
	return fmt.Sprintf("%d of %d candidate requests within %s %s; %s would be no surprise", s.Bad, s.N, within, s.did(), s.Limit)
}

// did is what bad requests did.
func (s Suspicion) did() string {
	switch s.Metric {
	case suspectMedian.String():
		return "took longer than " + short(s.MedianEdge) + ", stable's p50 and the tolerance"
	case suspectTail.String():
		return "took longer than " + short(s.TailEdge) + ", stable's p95 and the tolerance"
	}
	return "failed"
}

func short(d config.Duration) string { return d.D().Round(100 * time.Microsecond).String() }

func (w *Watch) suspicion(s suspect, m mean, now time.Time) Suspicion {
	seen := w.trail.since(m.since, w.looked)[s]
	limit := s.excess()
	if s == suspectErrors {
		limit = w.limit
	}
	return Suspicion{
		At: now, Metric: s.String(), LogE: m.logE, LogNeeded: w.needed,
		Since: time.Unix(m.since, 0).UTC(), N: seen.N, Bad: seen.Bad,
		Limit: shareOf(limit), ErrorLimit: shareOf(w.limit),
		MedianEdge: config.Duration(w.edges[0]), TailEdge: config.Duration(w.edges[1]),
	}
}

func shareOf(fraction float64) config.Percent {
	return config.Percent(fraction*config.PerMillion + 0.5)
}

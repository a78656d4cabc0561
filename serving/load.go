package serving

import (
	"math"
	"time"
)

// Load turns what arrives and what ends into what a load balancer wants to know.
// The zero Load has seen nothing. Times given to it must not go back.
type Load struct {
	began, last time.Time

	// Sums that decay with loadMemory: of items that arrived, requests that
	// ended, those that failed, and the time to their deadlines.
	items, ended, failed float64
	due, budget          float64
}

// LoadReport is a server's load at one instant.
type LoadReport struct {
	RPS float64 // requests answered per second, refusals included
	EPS float64 // of these, refusals and failures
	// Utilization is what is asked for over what the device manages, plus the
	// share of a request's time that the queue takes. It is above 1 under
	// overload, and never 0, for a load balancer divides by it. Busy time is no
	// such measure: a device that batches is busy long before it is full.
	Utilization float64
	Backlog     time.Duration // how long a request would wait that came now
}

const (
	loadMemory = 2.0  // seconds after which an event counts 1/e
	leastLoad  = 0.01 // Utilization's floor
	// defaultBudget stands for the deadlines of requests that have none.
	defaultBudget = 0.1 // seconds
)

// Arrived notes a request, admitted or not; the budget is the time to its
// deadline, 0 without one.
func (l *Load) Arrived(now time.Time, items int, budget time.Duration) {
	l.decay(now)
	l.items += float64(items)
	if budget > 0 {
		l.due++
		l.budget += budget.Seconds()
	}
}

// Answered notes requests that the model answered.
func (l *Load) Answered(now time.Time, requests int) {
	l.decay(now)
	l.ended += float64(requests)
}

// Failed notes requests that were refused, dropped or failed.
func (l *Load) Failed(now time.Time, requests int) {
	l.decay(now)
	l.ended += float64(requests)
	l.failed += float64(requests)
}

func (l *Load) decay(now time.Time) {
	if l.began.IsZero() {
		l.began, l.last = now, now
	}
	fade := math.Exp(-now.Sub(l.last).Seconds() / loadMemory)
	for _, sum := range []*float64{&l.items, &l.ended, &l.failed, &l.due, &l.budget} {
		*sum *= fade
	}
	l.last = now
}

// Report describes the load, given how many items per second the device manages
// (0: unknown) and how long its backlog is.
func (l *Load) Report(now time.Time, capacity float64, backlog time.Duration) LoadReport {
	l.decay(now)
	// The sums span as much as has been seen, at most their memory. A second at
	// least, or the first request would look like a flood.
	span := loadMemory * (1 - math.Exp(-max(1, now.Sub(l.began).Seconds())/loadMemory))
	budget := defaultBudget
	if l.due >= 1 {
		budget = l.budget / l.due
	}
	utilization := backlog.Seconds() / budget
	if capacity > 0 {
		utilization += l.items / span / capacity
	}
	return LoadReport{
		RPS: l.ended / span, EPS: l.failed / span,
		Utilization: max(leastLoad, utilization), Backlog: backlog,
	}
}

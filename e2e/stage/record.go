package stage

import (
	"slices"
	"sync"
	"time"
)

// Record keeps the answers of a Load. Its zero value is ready.
type Record struct {
	mu      sync.Mutex
	answers []Answer
}

// Add is a Load's Heard.
func (r *Record) Add(a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, a)
}

// Answers are those heard so far, in the order in which their requests were due.
func (r *Record) Answers() Answers {
	r.mu.Lock()
	answers := slices.Clone(r.answers)
	r.mu.Unlock()
	slices.SortStableFunc(answers, func(a, b Answer) int { return a.Scheduled.Compare(b.Scheduled) })
	return answers
}

// Answers are sorted by when their requests were due.
type Answers []Answer

// Of are those that a version served.
func (as Answers) Of(version string) Answers {
	return as.where(func(a Answer) bool { return a.Version == version })
}

// Failed are those that a user would call broken.
func (as Answers) Failed() Answers { return as.where(Answer.Failed) }

// Between are those whose requests were due from one moment to another,
// inclusive.
func (as Answers) Between(from, to time.Time) Answers {
	return as.where(func(a Answer) bool { return !a.Scheduled.Before(from) && !a.Scheduled.After(to) })
}

func (as Answers) where(is func(Answer) bool) Answers {
	var found Answers
	for _, a := range as {
		if is(a) {
			found = append(found, a)
		}
	}
	return found
}

// First is when the first request was due; zero of none.
func (as Answers) First() time.Time {
	if len(as) == 0 {
		return time.Time{}
	}
	return as[0].Scheduled
}

// Last is when the last request was due; zero of none.
func (as Answers) Last() time.Time {
	if len(as) == 0 {
		return time.Time{}
	}
	return as[len(as)-1].Scheduled
}

// Quantile of the latencies; zero of no answers.
func (as Answers) Quantile(q float64) time.Duration {
	if len(as) == 0 {
		return 0
	}
	took := make([]time.Duration, len(as))
	for i, a := range as {
		took[i] = a.Latency
	}
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

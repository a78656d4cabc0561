package main

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
)

// result is what one trial showed. Times are in seconds.
type result struct {
	Scenario    string `json:"scenario"`
	Run         int    `json:"run"`
	Pods        int    `json:"candidatePods"`
	LoadAverage string `json:"loadAverage"`

	Outcome canary.Outcome `json:"outcome"` // empty: it did not end in time
	Cause   canary.Cause   `json:"cause"`

	Exposure float64 `json:"exposure"` // from the first candidate request, or the fault, to the last
	Requests int     `json:"requests"` // that the candidate answered meanwhile
	Failed   int     `json:"failed"`   // users' requests meanwhile
	Trips    int     `json:"trips"`
	ToTrip   float64 `json:"toTrip"`    // from the first candidate request; 0: none
	ToEnd    float64 `json:"toVerdict"` // from the first candidate request to the final verdict

	Split split `json:"split"`
}

// split is where the exposure went, in seconds.
type split struct {
	Evidence  float64 `json:"evidence"`    // from the first candidate request to the answer that decided
	LogDelay  float64 `json:"logDelay"`    // from an answer to its log entry
	WindowAge float64 `json:"windowAge"`   // waited for by final tests only
	Decision  float64 `json:"decision"`    // the rest up to the decision
	Publish   float64 `json:"publish"`     // from the decision until it was sent
	Ack       float64 `json:"ack"`         // until the proxy acknowledged it
	Last      float64 `json:"lastRequest"` // until the candidate's last request; negative: that came before
}

// measure judges by what users got.
func (s seen) measure(sc scenario) result {
	served := s.answers.Of(candidate)
	first := served.First()
	if sc.Fault.After > 0 {
		first = served.Failed().First()
	}
	r := result{Scenario: sc.Name, Pods: s.pods}
	if first.IsZero() {
		return r
	}
	meanwhile := s.answers.Between(first, served.Last())
	r.Exposure = served.Last().Sub(first).Seconds()
	r.Requests, r.Failed = len(meanwhile.Of(candidate)), len(meanwhile.Failed())
	if s.finished == nil {
		return r
	}
	f := *s.finished
	r.Outcome, r.Cause, r.Trips = f.Outcome, f.Cause, len(f.Trips)
	r.ToEnd = f.Ended.Sub(first).Seconds()
	if r.Trips > 0 {
		r.ToTrip = f.Trips[0].At.Sub(first).Seconds()
	}
	r.Split = s.split(first)
	return r
}

// split follows the first decision that took the candidate's share away.
func (s seen) split(first time.Time) split {
	f := *s.finished
	decided := f.Ended
	if len(f.Trips) > 0 {
		decided = f.Trips[0].At
	}
	out := split{LogDelay: s.delay.Seconds()}
	deciding := s.deciding(decided)
	if deciding.IsZero() {
		return out
	}
	out.Evidence = deciding.Sub(first).Seconds()
	if len(f.Trips) == 0 {
		out.WindowAge = s.age(decided).Seconds()
	}
	since := decided.Sub(deciding).Seconds()
	out.LogDelay = min(out.LogDelay, since) // it is a mean; this entry may have been faster
	out.Decision = max(0, since-out.LogDelay-out.WindowAge)
	for _, p := range f.Passages {
		m, known := s.marks[p.Epoch]
		if p.Desired.Before(decided) || !known {
			continue
		}
		out.Publish = m.sent.Sub(decided).Seconds()
		out.Ack = m.acked.Sub(m.sent).Seconds()
		out.Last = s.answers.Of(candidate).Last().Sub(m.acked).Seconds()
		return out
	}
	return out
}

// deciding is when the last answer that may have decided was given: a failure,
// or, where nothing fails, any of the candidate's.
func (s seen) deciding(decided time.Time) time.Time {
	served := s.answers.Of(candidate)
	if bad := served.Failed(); len(bad) > 0 {
		served = bad
	}
	var last time.Time
	for _, a := range served {
		if end := a.Scheduled.Add(a.Latency); end.Before(decided) && end.After(last) {
			last = end
		}
	}
	return last
}

// age is that of a window, by what stable did before the decision.
func (s seen) age(decided time.Time) time.Duration {
	var took analysis.Buckets
	for _, a := range s.answers.Between(decided.Add(-time.Minute), decided).Of(stable) {
		took.Add(a.Latency)
	}
	return analysis.Age(took, 0)
}

// String is one line for those who watch.
func (r result) String() string {
	outcome := string(r.Outcome)
	if outcome == "" {
		outcome = "not ended"
	}
	return fmt.Sprintf("%-7s run %2d, %d candidate pods, load average %s: ", r.Scenario, r.Run, r.Pods, r.LoadAverage) +
		fmt.Sprintf("exposure %6.2f s, %d requests, %d failed; ", r.Exposure, r.Requests, r.Failed) +
		fmt.Sprintf("tripped after %.2f s, %s (%s) after %.1f s", r.ToTrip, outcome, r.Cause, r.ToEnd)
}

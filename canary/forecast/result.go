package forecast

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
)

// Seconds is a length of time as JSON has it.
type Seconds float64

// Forecast is what a rollout would be like.
type Forecast struct {
	// Healthy is what becomes of a candidate that is as good as stable.
	Healthy Healthily `json:"healthy"`
	// Steps is how long each takes a healthy candidate, and what it waits for.
	Steps []Step `json:"steps"`
	// Effects is how soon harmful candidates are found, the smallest effect of each
	// metric first.
	Effects []Effect `json:"effects,omitempty"`
	// Smallest is the smallest effect per metric that 90% of trials catch in time.
	Smallest []Smallest `json:"smallest,omitempty"`
	Advice   []string   `json:"advice,omitempty"`
}

// Healthily counts rollouts of a healthy candidate.
type Healthily struct {
	Trials     int `json:"trials"`
	Promoted   int `json:"promoted"`
	RolledBack int `json:"rolledBack"`
	Held       int `json:"held"` // neither within maxDuration
	Tripped    int `json:"tripped"`
	// FalseRollback is the share rolled back, with its 95% bounds.
	FalseRollback Share `json:"falseRollback"`
	// Promotion is how long promotion takes, in seconds.
	Promotion    Seconds `json:"promotion"`
	PromotionP90 Seconds `json:"promotionP90"`
	// Bottleneck is what most trials wait for last: a metric, or a wait.
	Bottleneck string `json:"bottleneck,omitempty"`
	// Reasons are why rollouts did not end in promotion, each once, the first few.
	Reasons []string `json:"reasons,omitempty"`
}

// Share is a share of trials with 95% bounds. source: Wilson, 1927.
type Share struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Step is one step of a rollout.
type Step struct {
	Weight string `json:"weight"`
	Shadow string `json:"shadow,omitempty"` // what is copied to the candidate instead
	// Least is what the policy asks for whatever the evidence: seconds, and requests
	// of the candidate.
	Least         Seconds `json:"least"`
	LeastRequests int64   `json:"leastRequests"`
	// Likely and P90 are the median and the 90th percentile of trials that left it.
	Likely         Seconds `json:"likely"`
	P90            Seconds `json:"p90"`
	LikelyRequests int64   `json:"likelyRequests"`
	// Bottleneck is what it waits for last, in most trials.
	Bottleneck string `json:"bottleneck,omitempty"`
	Left       int    `json:"left"` // trials that left it
}

// Effect is what becomes of a harmful candidate.
type Effect struct {
	Metric string  `json:"metric"`
	Size   float64 `json:"size"` // share of failed requests; factor of the service time
	What   string  `json:"what"`
	Trials int     `json:"trials"`
	// Caught lost their share for good: rolled back, or held at 0 by a trip.
	Caught     int `json:"caught"`
	RolledBack int `json:"rolledBack"`
	Promoted   int `json:"promoted"`
	Tripped    int `json:"tripped"`
	// After is how long after the candidate's first request those that were caught had
	// their last one, in seconds: median and 90th percentile.
	After    Seconds `json:"after"`
	AfterP90 Seconds `json:"afterP90"`
	Exposure Seconds `json:"exposure"` // likewise, of all trials
	Hurt     float64 `json:"hurt"`     // requests that failed at the candidate, median
	Step     int     `json:"step"`     // at which most were caught, from 1; 0: none was
}

func (e Effect) share() float64 { return float64(e.Caught) / float64(max(e.Trials, 1)) }

// Smallest is the smallest effect that is found. Size 0: none that was tried is.
type Smallest struct {
	Metric string  `json:"metric"`
	Size   float64 `json:"size"`
	What   string  `json:"what,omitempty"`
	OrLess bool    `json:"orLess,omitempty"` // it was the smallest that was tried
}

func summarise(all []tried, c Config) Healthily {
	h := Healthily{Trials: len(all)}
	var took []time.Duration
	counts := map[string]int{}
	for _, t := range all {
		switch t.Outcome {
		case canary.OutcomePromoted:
			h.Promoted++
			took = append(took, t.Took)
			counts[t.steps[len(t.steps)-1].waited()]++
		case canary.OutcomeRolledBack:
			h.RolledBack++
			h.because(t.Reason)
		default:
			h.Held++
			where, last := t.stuck()
			counts[last.waited()]++
			h.because(cmp.Or(t.Reason, fmt.Sprintf("%s after %s: %s", where, c.Policy.Limits.MaxDuration, cmp.Or(last.text, "no test decided"))))
		}
		if len(t.Trips) > 0 {
			h.Tripped++
		}
	}
	h.FalseRollback = shareOf(h.RolledBack, h.Trials)
	h.Promotion, h.PromotionP90 = inSeconds(quantile(took, 0.5)), inSeconds(quantile(took, 0.9))
	h.Bottleneck = most(counts)
	return h
}

func (h *Healthily) because(reason string) {
	const kept = 3
	if len(h.Reasons) < kept && !slices.Contains(h.Reasons, reason) {
		h.Reasons = append(h.Reasons, reason)
	}
}

func inSeconds(d time.Duration) Seconds { return Seconds(math.Round(d.Seconds()*100) / 100) }

// stuck says where a rollout that did not end was.
func (t tried) stuck() (where string, last passed) {
	for i, s := range slices.Backward(t.steps) {
		if s.reached && t.Phase == canary.Stepping {
			return fmt.Sprintf("at step %d of %d", i+1, len(t.steps)), s
		}
	}
	return string(t.Phase), passed{}
}

// waited names what a step waited for last.
func (p passed) waited() string {
	if p.metric != "" {
		return p.metric
	}
	return string(p.wait)
}

// most is the most frequent name; the first in the alphabet of several.
func most(counts map[string]int) (name string) {
	for _, n := range slices.Sorted(maps.Keys(counts)) {
		if n != "" && counts[n] > counts[name] {
			name = n
		}
	}
	return name
}

func shareOf(k, n int) Share {
	low, high := analysis.Wilson(k, n)
	return Share{Value: float64(k) / float64(n), Low: low, High: high}
}

// stepsOf sums up the steps of healthy candidates. Gates wait for people, and are
// left out of it.
func stepsOf(all []tried, c Config) []Step {
	var steps []Step
	for i, s := range c.Steps {
		step := Step{Weight: s.Weight.String(), Least: inSeconds(least(c, s)), LeastRequests: c.Policy.Limits.MinRequestsPerStep}
		if s.Shadow > 0 {
			step.Shadow, step.LeastRequests = s.Shadow.String(), 0
		}
		var took []time.Duration
		var requests []int
		waits := map[string]int{}
		for _, t := range all {
			if p := t.steps[i]; p.left && p.reached {
				step.Left++
				took, requests = append(took, p.took), append(requests, p.requests)
				waits[p.waited()]++
			}
		}
		step.Likely, step.P90, step.Bottleneck = inSeconds(quantile(took, 0.5)), inSeconds(quantile(took, 0.9)), most(waits)
		if slices.Sort(requests); len(requests) > 0 {
			step.LikelyRequests = int64(requests[len(requests)/2])
		}
		steps = append(steps, step)
	}
	return steps
}

package analysis

import (
	"math"

	"github.com/sluice-dev/sluice/config"
)

// Why is the reason of a verdict as a value: what Assessment.Reason says in words.
type Why struct {
	Kind WhyKind `json:"kind"`

	// Metric, Method, Threshold, LogE and LogNeeded are of the test that says most of
	// harm, or that health waits for longest. Empty where no one test is the reason.
	Metric    string  `json:"metric,omitempty"`
	Method    string  `json:"method,omitempty"`
	Segment   string  `json:"segment,omitempty"`
	Threshold string  `json:"threshold,omitempty"`
	LogE      float64 `json:"logE,omitempty"`
	LogNeeded float64 `json:"logNeeded,omitempty"`

	// Requests is about how many more candidate requests health needs, by what those
	// so far were worth; Seconds is how long they take at the present rate. 0 is
	// unknown: they were worth nothing, or none come.
	Requests float64 `json:"requests,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	// Futile says that Seconds are more than the policy's maxDuration has left, counted
	// from the first window: at the present share the rollout will end inconclusive.
	Futile bool `json:"futile,omitempty"`
}

// WhyKind is the kind of a reason.
type WhyKind string

// Kinds of reasons, by the verdict that they are of.
const (
	WhyHarm       WhyKind = "Harm"       // harmful: evidence passed its threshold
	WhyProven     WhyKind = "Proven"     // healthy: every required test has passed
	WhyNoRequests WhyKind = "NoRequests" // undecided: the candidate had none
	WhyEvidence   WhyKind = "Evidence"   // undecided: more is needed
	WhySplit      WhyKind = "Split"      // undecided: requests are not split as declared
	WhyShared     WhyKind = "Shared"     // undecided: stable breaches the limit, too
	WhyUnmeasured WhyKind = "Unmeasured" // undecided: a metric says nothing
	WhySignals    WhyKind = "Signals"    // blind: signals are missing or disagree
	WhyNoProxy    WhyKind = "NoProxy"    // undecided: no proxy is connected
)

// whyOf names a test as a reason.
func whyOf(kind WhyKind, s *standing) Why {
	return Why{Kind: kind, Metric: s.Metric, Method: s.Method, Segment: s.Segment, Threshold: s.Threshold, LogE: s.LogE, LogNeeded: s.LogNeeded}
}

// whyHeld tells a split that is off from an incident that stable shares.
func (j *judgement) whyHeld() Why {
	for i := range j.standings {
		if s := &j.standings[i]; s.Direction == directionIntegrity && s.Passed {
			return whyOf(WhySplit, s)
		}
	}
	for i := range j.standings {
		if s := &j.standings[i]; s.shared != "" && s.Idle == s.shared {
			return whyOf(WhyShared, s)
		}
	}
	for _, o := range j.e.Own {
		if o.Missing >= missingMost {
			return Why{Kind: WhyUnmeasured, Metric: string(o.Name)}
		}
	}
	if j.e.Tokens.unsaid(j.e.Arms) != "" {
		return Why{Kind: WhyUnmeasured, Metric: string(config.MetricTPOT)}
	}
	return Why{Kind: WhyShared}
}

// whyHarm names the test that has most of the evidence it would need alone.
func (j *judgement) whyHarm() Why {
	var most *standing
	for i := range j.standings {
		s := &j.standings[i]
		if s.Direction == directionRollback && s.Idle == "" && (most == nil || s.LogE-s.LogNeeded > most.LogE-most.LogNeeded) {
			most = s
		}
	}
	if most == nil {
		return Why{Kind: WhyHarm}
	}
	return whyOf(WhyHarm, most)
}

// whyMissing names what is furthest away, and how far that is.
func (j *judgement) whyMissing(missing []*standing) Why {
	s, more := j.furthest(missing)
	why := whyOf(WhyEvidence, s)
	if math.IsInf(more, 1) {
		return why
	}
	why.Requests = more
	if pace := j.pace(); pace > 0 && s.metric != config.MetricAnswers {
		why.Seconds = math.Ceil(more / pace)
		why.Futile = why.Seconds > j.left()
	}
	return why
}

// left is how many seconds of the policy's maxDuration are left.
func (j *judgement) left() float64 {
	past := float64(j.e.Through-j.e.First+1) * WindowLength.Seconds()
	return max(0, j.p.Limits.MaxDuration.D().Seconds()-past)
}

// futility says in words that time will not do.
func (w Why) futility(left float64) string {
	if !w.Futile {
		return ""
	}
	return sprintf("; only %.0f s of maxDuration are left, so at this share it ends inconclusive", left)
}

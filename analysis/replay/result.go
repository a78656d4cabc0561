package replay

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Result is what a recording came to. Times are seconds on the recording's own
// clock: Unix time where it is an Envoy's.
type Result struct {
	Verdict analysis.Verdict `json:"verdict"`
	// At is when the verdict came to stand: harm for good, health while no harm
	// follows. Of an undecided or blind recording it is the end.
	At float64 `json:"at_s"` //nolint:tagliatelle // as recordings are written
	// TrippedAt is when the candidate would first have lost its share. Null: never.
	TrippedAt *float64 `json:"tripped_at_s"` //nolint:tagliatelle // as above
	// Metric is what harm was found in, or what health still waits for: "errors",
	// "latency-p95", …; or else empty.
	Metric string `json:"metric"`
	// LogE is the evidence of harm in nats: of all tests together ("all"), what was
	// needed of that ("needed"), and of each metric.
	LogE map[string]float64 `json:"log_e"` //nolint:tagliatelle // as above
	// N is requests of "stable" and "candidate" that had ended by At.
	N map[string]int64 `json:"n"`
	// Reason is one sentence with numbers, and Why the same as a value.
	Reason string       `json:"reason"`
	Why    analysis.Why `json:"why"`

	Trips []Trip `json:"trips"`
	// Tests as they stood when the verdict came to stand, or at the end.
	Tests []analysis.Test `json:"tests"`

	Lines   int64 `json:"lines"`
	Skipped int64 `json:"skipped"` // bad ones
	Others  int64 `json:"others"`  // lines of other versions
	// From and To are when the first request started and the last one ended.
	From float64 `json:"from_s"` //nolint:tagliatelle // as above
	To   float64 `json:"to_s"`   //nolint:tagliatelle // as above
	// Notes say what a recording cannot show, and what is odd about this one.
	Notes []string `json:"notes"`
}

// Trip is one that fired in a recording.
type Trip struct {
	At      float64 `json:"at_s"` //nolint:tagliatelle // as above
	Metric  string  `json:"metric"`
	Reason  string  `json:"reason"`
	Outcome string  `json:"outcome"` // "open", "confirmed", "cleared", "expired" or "final"
	Ruling  string  `json:"ruling,omitempty"`
	LogE    float64 `json:"log_e"` //nolint:tagliatelle // as above
}

// result judges what is left and sums up.
func (r *run) result(p *player) Result {
	p.finish()
	res := Result{
		Verdict: p.verdict, At: secondsOf(p.now), Reason: p.reason, Why: p.why,
		LogE:  evidenceOf(p.shown),
		N:     map[string]int64{"stable": p.told[0], "candidate": p.told[1]},
		Trips: []Trip{}, Tests: p.shown.Tests,
		Lines: r.lines.number, Skipped: r.skipped, Others: r.others,
		Notes: []string{"the shares that were declared are not in a recording: the split was not tested"},
	}
	if res.Tests == nil {
		res.Tests = []analysis.Test{}
	}
	if p.bins != nil {
		res.From, res.To = secondsOf(p.began), secondsOf(p.now)
	} else {
		res.At = 0
	}
	if !p.decided.IsZero() {
		res.At = secondsOf(p.decided)
	}
	for _, m := range r.Policy.Metrics {
		if m.Compare != nil {
			res.Notes = append(res.Notes, fmt.Sprintf("%s of a shadow are in no recording: without them nothing is healthy", m.Name))
		}
		if m.Prometheus != nil {
			res.Notes = append(res.Notes, fmt.Sprintf("metric %s comes from Prometheus and is in no recording: without it nothing is healthy", m.Name))
		}
	}
	r.trips(p, &res)
	r.undecided(p, &res)
	if r.others > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("%d lines are of other versions (%s)", r.others, r.names))
	}
	res.Notes = append(append(res.Notes, r.passedOver()...), r.lacks.notes(r.Policy, r.Segments)...)
	res.Metric = res.Why.Metric
	return res
}

func (r *run) trips(p *player, res *Result) {
	for _, t := range p.trips {
		at := secondsOf(t.suspicion.At)
		res.Trips = append(res.Trips, Trip{
			At: at, Metric: t.suspicion.Metric, Reason: t.suspicion.Reason(),
			Outcome: string(t.outcome), Ruling: t.found(), LogE: rounded(t.suspicion.LogE),
		})
		if res.TrippedAt == nil {
			res.TrippedAt = &at
		}
	}
}

// undecided says what is still needed, or what is missing.
func (r *run) undecided(p *player, res *Result) {
	if res.Verdict == analysis.Undecided {
		res.Reason, res.Why = p.last.Reason, p.last.Why
	}
	stable, candidate := p.last.Requests[p.arms.Stable], p.last.Requests[p.arms.Candidate]
	switch open := p.open(); {
	case res.Verdict == analysis.Harmful:
	case stable == 0 && candidate == 0:
		res.Verdict, res.Reason = analysis.Blind, r.nothing(p)
		res.Why = analysis.Why{Kind: analysis.WhySignals}
	case stable == 0 && r.compares():
		res.Verdict, res.Why = analysis.Blind, analysis.Why{Kind: analysis.WhySignals}
		res.Reason = fmt.Sprintf("no request of stable %s was judged, and the policy compares with it; candidate %s had %d",
			p.arms.Stable, p.arms.Candidate, candidate)
	case open != nil:
		res.Verdict, res.At = analysis.Undecided, secondsOf(p.now)
		res.Why = analysis.Why{
			Kind: analysis.WhyEvidence, Metric: open.suspicion.Metric, Method: "trip",
			LogE: rounded(open.ruling.LogE), LogNeeded: rounded(open.ruling.LogNeeded),
		}
		res.Reason = "the last trip is not settled: " + open.found()
	}
}

// nothing says why no request was judged.
func (r *run) nothing(p *player) string {
	switch {
	case p.bins != nil:
		return fmt.Sprintf("no window of requests is complete: the recording lasts %s", p.now.Sub(p.began).Round(time.Millisecond))
	case r.others > 0:
		return fmt.Sprintf("no line is of %s or %s; there are lines of %s", p.arms.Stable, p.arms.Candidate, r.names)
	}
	return "the recording has no request"
}

func (r *run) compares() bool {
	return slices.ContainsFunc(r.Policy.Metrics, func(m config.Metric) bool { return m.VersusStable != nil })
}

// evidenceOf takes the evidence of harm by metric: the weighted mean of its tests.
func evidenceOf(a analysis.Assessment) map[string]float64 {
	logs := map[string]float64{"all": rounded(a.LogE), "needed": rounded(a.LogNeeded)}
	sums, weights := map[string]float64{}, map[string]float64{}
	for _, t := range a.Tests {
		if t.Direction == "rollback" && t.Idle == "" {
			weight := math.Exp(a.LogNeeded - t.LogNeeded)
			sums[t.Metric] += weight * math.Exp(min(t.LogE, 600))
			weights[t.Metric] += weight
		}
	}
	for metric, sum := range sums {
		logs[metric] = rounded(math.Log(max(sum/weights[metric], 1e-300)))
	}
	return logs
}

func rounded(nats float64) float64 { return math.Round(nats*1e6)/1e6 + 0 } // no -0

// others are versions that are no arm, the first few that were seen.
type others struct {
	names []string
	more  bool
}

func (o *others) see(name string) {
	const most = 5
	switch {
	case slices.Contains(o.names, name):
	case len(o.names) == most:
		o.more = true
	default:
		o.names = append(o.names, name)
	}
}

// String lists them.
func (o others) String() string {
	text := strings.Join(o.names, ", ")
	if o.more {
		text += ", …"
	}
	return text
}

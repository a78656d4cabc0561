package analysis

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Reading is the answer to one query about one version at one moment.
type Reading struct {
	Outcome ReadingOutcome
	Value   float64 // where it was read
	Text    string  // what an error said
}

// ReadingOutcome says what became of a query. Only one of them is a number, and
// none of the others is health.
type ReadingOutcome string

// Outcomes of a query.
const (
	Read       ReadingOutcome = "read"
	NotANumber ReadingOutcome = "nan"   // it answered NaN or an infinity: a share of nothing, say
	Empty      ReadingOutcome = "empty" // no series matches
	Stale      ReadingOutcome = "stale" // series match, and all samples are too old
	Unread     ReadingOutcome = "error" // the server did not answer, or refused the query
)

// String says it in a few words.
func (r Reading) String() string {
	switch r.Outcome {
	case Read:
		return fmt.Sprintf("%.6g", r.Value)
	case NotANumber:
		return "is no number"
	case Empty:
		return "has no series"
	case Stale:
		return "has no sample that is young enough"
	case Unread:
	}
	return "cannot be read: " + r.Text
}

// Measurement is a metric from elsewhere as it stood for both versions at one
// moment. Counts have Bad and Total, a gauge has Value.
type Measurement struct {
	Metric config.MetricName
	At     time.Time
	// Epoch is of the split in force: counts that span two splits are left out.
	Epoch             uint64
	Stable, Candidate Measured
}

// Measured is one version's part of a Measurement.
type Measured struct{ Bad, Total, Value Reading }

// readings are those that a metric has, by name.
func (m Measured) readings(counts bool) map[string]Reading { //nolint:revive // a metric is one or the other
	if counts {
		return map[string]Reading{"bad": m.Bad, "total": m.Total}
	}
	return map[string]Reading{"value": m.Value}
}

// counts gives counters as integers.
func (m Measured) counts() rate {
	return rate{N: int64(math.Round(m.Total.Value)), Bad: int64(math.Round(m.Bad.Value))}
}

// minus is what was counted since.
func (r rate) minus(o rate) rate { return rate{N: r.N - o.N, Bad: r.Bad - o.Bad} }

// unusable says why what both counters of a version grew by is no count: one that fell
// began anew, and there is no more bad than all. Empty where it is one.
func (r rate) unusable(of string) string {
	switch {
	case r.N < 0 || r.Bad < 0:
		return sprintf("%s counters fell, bad by %d and total by %d: they began anew, or are none", of, max(0, -r.Bad), max(0, -r.N))
	case r.Bad > r.N:
		return sprintf("%s bad grew by %d and its total by %d: the numerator is above the denominator", of, r.Bad, r.N)
	}
	return ""
}

// own is the evidence on a metric from elsewhere.
type own struct {
	Name config.MetricName `json:"name"`

	Odds *odds `json:"odds,omitempty"` // of counts, against stable
	// Limit is of counts, against the slo; of a gauge, whose candidate's readings are
	// larger than stable's and the tolerance at most every other time.
	Limit     limit `json:"limit"`
	Stable    rate  `json:"stable"` // counts; of a gauge there are none
	Candidate rate  `json:"candidate"`

	Last     *ownLast `json:"last,omitempty"` // counters as last read
	Readings int64    `json:"readings"`       // of both versions, that said something
	// Missing are the latest measurements in a row that said nothing, and Why the last.
	Missing int64  `json:"missing"`
	Why     string `json:"why,omitempty"`
	Through int64  `json:"through"` // of the last measurement, in ms since the Unix epoch
}

type ownLast struct {
	Epoch     uint64 `json:"epoch"`
	Stable    rate   `json:"stable"`
	Candidate rate   `json:"candidate"`
}

func newOwn(m config.Metric) own {
	o := own{Name: m.Name}
	notBegun(o.Limit.Harm.Past[:])
	if m.Prometheus.Counts() && m.VersusStable != nil {
		o.Odds = new(odds)
		notBegun(o.Odds.Harm.Past[:])
	}
	return o
}

// ownsOf lists a policy's metrics from elsewhere.
func ownsOf(p config.PolicySpec) (ms []config.Metric) {
	for _, m := range p.Metrics {
		if m.Prometheus != nil {
			ms = append(ms, m)
		}
	}
	return ms
}

func (o own) clone() own {
	if o.Odds != nil {
		odds := *o.Odds
		o.Odds = &odds
	}
	if o.Last != nil {
		last := *o.Last
		o.Last = &last
	}
	return o
}

// start gives the rollback tests another start with a part of the evidence.
func (o *own) start(part float64) {
	if o.Odds != nil {
		o.Odds.Harm.start(part)
	}
	o.Limit.Harm.start(part)
}

// Measure adds measurements, of any of the policy's metrics, each metric's in the
// order of time: one from no later than those already counted is passed over. p must
// be the policy that the evidence began with.
func (e Evidence) Measure(p config.PolicySpec, measurements ...Measurement) Evidence {
	next := e.clone()
	for _, m := range measurements {
		for i := range next.Own {
			if o := &next.Own[i]; o.Name == m.Metric && m.At.UnixMilli() > o.Through {
				o.measure(metricOf(p, m.Metric), m)
			}
		}
	}
	return next
}

func (o *own) measure(m config.Metric, seen Measurement) {
	o.Through = seen.At.UnixMilli()
	if why := seen.missing(m.Prometheus.Counts()); why != "" {
		o.miss(why)
		return
	}
	if m.Prometheus.Counts() {
		o.count(m, seen)
		return
	}
	o.told()
	o.compare(m, seen.Stable.Value.Value, seen.Candidate.Value.Value)
}

func (o *own) miss(why string) { o.Missing, o.Why = o.Missing+1, why }

func (o *own) told() {
	o.Readings++
	o.Missing, o.Why = 0, ""
}

// largestCount is where a float64 loses the unit.
const largestCount = 1 << 53

// missing says what of a measurement is no number that can be judged, stable's first.
func (s Measurement) missing(counts bool) string {
	for _, arm := range []struct {
		of string
		Measured
	}{{"stable's", s.Stable}, {"the candidate's", s.Candidate}} {
		for _, name := range []string{"bad", "total", "value"} {
			r, has := arm.readings(counts)[name]
			switch {
			case !has:
			case r.Outcome != Read:
				return arm.of + " " + name + " " + r.String()
			case r.Value < 0 || counts && r.Value > largestCount:
				return arm.of + " " + name + " is below zero, or too large to be counted: " + r.String()
			}
		}
	}
	return ""
}

// count adds what both counters grew by since the last reading under the same split.
func (o *own) count(m config.Metric, seen Measurement) {
	stable, candidate := seen.Stable.counts(), seen.Candidate.counts()
	last := o.Last
	o.Last = &ownLast{Epoch: seen.Epoch, Stable: stable, Candidate: candidate}
	if last == nil || last.Epoch != seen.Epoch {
		return
	}
	stable, candidate = stable.minus(last.Stable), candidate.minus(last.Candidate)
	if why := cmp.Or(stable.unusable("stable's"), candidate.unusable("the candidate's")); why != "" {
		o.miss(why)
		return
	}
	if candidate.N == 0 {
		o.miss("the candidate's total does not grow")
		return
	}
	o.told()
	o.Stable, o.Candidate = o.Stable.plus(stable), o.Candidate.plus(candidate)
	burst := burstOf(m)
	if o.Odds != nil {
		grid := newOddsGrid(float64(m.VersusStable.RollbackIf), m.VersusStable.PromoteIf.Ratio)
		o.Odds.add(&grid, stratum{
			stable:    sums{requests: stable.N, errors: stable.Bad},
			candidate: sums{requests: candidate.N, errors: candidate.Bad},
		})
		o.Odds.closeBlock(burst)
	}
	if m.SLO != nil {
		grid := newLimitGrid(m.SLO.Max.Fraction())
		o.Limit.add(&grid, candidate, candidate)
		o.Limit.Stable.add(stable)
		o.Limit.closeBlock(burst)
	}
}

// compare adds one reading of a gauge: whether the candidate's is above stable's and
// the tolerance, and whether it is below stable's and the margin. If a candidate as
// good as stable is above no more than every other time, that is a coin.
// research: statistics §2b, the sign test of blocks.
func (o *own) compare(m config.Metric, stable, candidate float64) {
	coin := newLimitGrid(0.5)
	worse := candidate > stable*float64(m.VersusStable.RollbackIf)
	near := candidate <= stable*m.VersusStable.PromoteIf.Ratio
	o.Limit.add(&coin, rateOf(worse), rateOf(!near))
	o.Limit.closeBlock(natsLimit)
}

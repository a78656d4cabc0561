package analysis

import (
	"slices"
	"time"
)

// skew is what is known of how far a proxy's clock is behind ours. An entry arrives
// after its attempt's end, mostly within logWay, so the smallest difference between
// the two bounds it.
type skew struct {
	now, before lags      // of this period and the one before
	since       time.Time // when this period began; zero when nothing is known
}

// lags are the smallest and the largest time from an end to its entry's arrival.
type lags struct{ least, most time.Duration }

const (
	skewPeriod  = 10 * time.Second // clocks are set now and then
	logWay      = 100 * time.Millisecond
	longestStir = time.Second
)

func (s *skew) see(arrival, end time.Time) {
	lag := arrival.Sub(end)
	switch {
	case s.since.IsZero():
		*s = skew{now: lags{lag, lag}, before: lags{lag, lag}, since: arrival}
	case arrival.Sub(s.since) > skewPeriod:
		*s = skew{now: lags{lag, lag}, before: s.now, since: arrival}
	default:
		s.now = lags{min(s.now.least, lag), max(s.now.most, lag)}
	}
}

// most is the most that the proxy's clock may be behind; negative: it is ahead.
func (s *skew) most() time.Duration { return min(s.now.least, s.before.least) }

// least is the least that the clock may be behind, if it is not ahead unseen.
func (s *skew) least() time.Duration {
	if most := s.most(); most > 0 {
		return max(0, most-logWay)
	}
	return s.most()
}

// spread is how much longer the slowest entry took than the fastest.
func (s *skew) spread() time.Duration { return max(s.now.most, s.before.most) - s.most() }

// stir is how far apart Envoy may do at a time what belongs together, such as to
// note an attempt's end and to count it out, on a machine that is too busy: as much
// as entries come later than they should.
func (s *skew) stir() time.Duration { return min(max(0, s.spread()-logWay), longestStir) }

// reportClock estimates when reports were written: they come at once or late,
// never early, and say how long after one another they were written.
type reportClock struct {
	sum  time.Duration                // of all intervals
	base [reportClockMemory]time.Time // when each came, less sum then
	n    int
}

const (
	// jump is how much later than the reports before it one may come, and still be
	// taken for a late one.
	jump = 250 * time.Millisecond
	// reportClockMemory is how many reports are compared: few, as clocks are slewed.
	reportClockMemory = 16
	// fewReports do not tell yet how late reports are; unknownLate is assumed.
	fewReports  = 8
	unknownLate = jump
)

// written bounds when a report was written.
func (k *reportClock) written(l Load) (earliest, latest time.Time) {
	k.sum += l.Interval
	base := l.At.Add(-k.sum)
	k.base[k.n%reportClockMemory] = base
	k.n++
	bases := slices.SortedFunc(slices.Values(k.base[:min(k.n, reportClockMemory)]), time.Time.Compare)
	first, late := bases[0], unknownLate
	if len(bases) >= fewReports {
		late = 2 * bases[len(bases)/2].Sub(first)
	}
	// A machine on which reports come late also counts and logs at different times.
	earliest, latest = first.Add(k.sum-late), first.Add(k.sum+late)
	if base.Sub(first) > jump { // very late, or another series of reports
		latest = l.At
		k.base[0], k.n = base, 1
	}
	return earliest.Add(-clockMargin), latest.Add(clockMargin)
}

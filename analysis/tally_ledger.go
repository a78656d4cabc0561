package analysis

import (
	"slices"
	"time"
)

const (
	// grace is how long after a report the entries of what it counts may arrive.
	grace = 750 * time.Millisecond
	// clockMargin is how far a report's time, and two machines' clocks, may be out.
	clockMargin = 10 * time.Millisecond
	// jump is how much later than the reports before it one may come, and still be
	// taken for a late one.
	jump = 250 * time.Millisecond
)

// ledger holds a version's attempts at one proxy against that proxy's reports.
//
// A report says how many attempts have finished: issued in all, less those in
// progress. It came to that number at a time that is known within clockMargin, and
// the entries say how many attempts had ended by then. The difference never
// changes unless something is lost: up, entries; down, reports (a cluster's first,
// or a pod's last). Each report bounds the difference, and bounds that exclude each
// other are a loss. So the few attempts that end about the time of a report hide a
// loss of about their own number, and only until a report at a quiet moment.
type ledger struct {
	ends     ends
	lastLog  time.Time // when the latest entry came
	reported time.Time // when the latest report came
	issued   int64
	finished int64
	clock    reportClock
	checks   []check // reports in their grace

	known  bool
	bound  bounds // of finished - ended
	doubt  int    // the latest check was off: +1 entries, -1 reports are missing
	passed check  // the latest report whose every attempt has its entry
	gap    *Gap
}

// bounds hold a number from low to high.
type bounds struct{ low, high int64 }

// check is a report that waits for the entries of what it counts.
type check struct {
	at               time.Time // when it came
	since            time.Time // what it covers begins
	earliest, latest time.Time // when it was written
	finished         int64     // in all
	lately           int64     // since the report before
	answers          int64     // since the report before, at least
	busy             bool      // requests were under way
}

func (l *ledger) log(now time.Time, r Request) {
	l.lastLog = now
	if r.Issued {
		l.ends.add(r.End())
	}
}

func (l *ledger) report(load Load) {
	l.issued += int64(load.Issued)
	finished := l.issued - int64(load.InProgress)
	earliest, latest := l.clock.written(load)
	l.checks = append(l.checks, check{
		at:       load.At,
		since:    load.At.Add(-load.Interval),
		earliest: earliest,
		latest:   latest,
		finished: finished,
		lately:   finished - l.finished,
		answers:  int64(load.Succeeded+load.Errored) - int64(load.InProgress),
		busy:     load.Issued > 0 || load.InProgress > 0,
	})
	l.finished, l.reported = finished, load.At
}

// settle compares the reports whose grace is over. Nothing was listening before
// began.
func (l *ledger) settle(now, began time.Time, s *skew) {
	for len(l.checks) > 0 && !now.Before(l.checks[0].at.Add(grace)) {
		l.compare(l.checks[0], began, s)
		l.checks = l.checks[1:]
	}
}

func (l *ledger) compare(c check, began time.Time, s *skew) {
	is := bounds{
		low:  c.finished - l.ends.upTo(c.latest.Add(-s.least())),
		high: c.finished - l.ends.upTo(c.earliest.Add(-s.most())),
	}
	missing := is.low - l.bound.high
	switch {
	case c.answers > 0 && l.lastLog.Before(c.since) && !c.since.Before(began): // not one in its time, nor its grace
		l.lost(c, CauseSilent, max(c.answers, missing))
		l.rebase(is)
	case !l.known:
		l.rebase(is)
		l.pass(c)
	case missing > 0 && (l.doubt > 0 || missing > 5+c.lately/5):
		l.lost(c, CauseMissing, missing)
		l.rebase(is)
	case missing > 0: // a report's numbers are not read at one instant; the next one tells
		l.doubt = 1
	case is.high < l.bound.low && l.doubt < 0:
		l.rebase(is)
		l.pass(c)
	case is.high < l.bound.low:
		l.doubt = -1
	default:
		l.rebase(bounds{max(is.low, l.bound.low), min(is.high, l.bound.high)})
		l.pass(c)
	}
}

func (l *ledger) rebase(b bounds) { l.known, l.bound, l.doubt = true, b, 0 }

// pass ends a gap: what this report counts has all arrived.
func (l *ledger) pass(c check) { l.passed, l.gap = c, nil }

func (l *ledger) lost(c check, cause Cause, n int64) {
	if l.gap == nil {
		from := c.since
		if last := l.passed.at; !last.IsZero() && last.Before(from) {
			from = last
		}
		l.gap = &Gap{From: from.Add(-LogDelay), Cause: cause}
	}
	l.gap.To = c.at
	l.gap.Missing += n
}

// skew is what is known of how far a proxy's clock is behind ours. An entry arrives
// after its attempt's end, mostly within logWay, so the smallest difference between
// the two bounds it.
type skew struct {
	now, before time.Duration // the smallest of this period and the one before
	since       time.Time     // when this period began; zero when nothing is known
}

const (
	skewPeriod = 10 * time.Second // clocks are set now and then
	logWay     = 100 * time.Millisecond
)

func (s *skew) see(arrival, end time.Time) {
	lag := arrival.Sub(end)
	switch {
	case s.since.IsZero():
		*s = skew{now: lag, before: lag, since: arrival}
	case arrival.Sub(s.since) > skewPeriod:
		*s = skew{now: lag, before: s.now, since: arrival}
	default:
		s.now = min(s.now, lag)
	}
}

// most is the most that the proxy's clock may be behind; negative: it is ahead.
func (s *skew) most() time.Duration { return min(s.now, s.before) }

// least is the least that the clock may be behind, if it is not ahead unseen.
func (s *skew) least() time.Duration {
	if most := s.most(); most > 0 {
		return max(0, most-logWay)
	}
	return s.most()
}

// reportClock estimates when reports were written: they come at once or late,
// never early, and say how long after one another they were written.
type reportClock struct {
	sum  time.Duration                // of all intervals
	base [reportClockMemory]time.Time // when each came, less sum then
	n    int
}

const (
	// reportClockMemory is how many reports are compared: few, as clocks are slewed.
	reportClockMemory = 16
	// fewReports do not tell yet how late reports are; unknownLate is assumed.
	fewReports  = 4
	unknownLate = 100 * time.Millisecond
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
	earliest, latest = first.Add(k.sum-late), first.Add(k.sum)
	if base.Sub(first) > jump { // very late, or another series of reports
		latest = l.At
		k.base[0], k.n = base, 1
	}
	return earliest.Add(-clockMargin), latest.Add(clockMargin)
}

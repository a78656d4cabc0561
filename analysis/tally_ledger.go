package analysis

import "time"

const (
	// grace is how long after a report the entries of what it counts may arrive; on a
	// machine that is too busy, as entries then come late, up to longestGrace.
	grace        = 750 * time.Millisecond
	longestGrace = 3 * time.Second
	// severalReports in a row that count too little are believed.
	severalReports = 5
	// clockMargin is how far a report's time, and two machines' clocks, may be out.
	clockMargin = 10 * time.Millisecond
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
	doubt  int    // the latest checks were off: 1: entries are missing; -n: reports, n times in a row
	less   bounds // of the latter
	passed check  // the latest report whose every attempt has its entry
	gap    *Gap
	// doubted is when what the first report after passed covers began.
	doubted time.Time
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
	wait := min(max(grace, 2*s.spread()), longestGrace)
	for len(l.checks) > 0 && !now.Before(l.checks[0].at.Add(wait)) {
		l.compare(l.checks[0], began, s)
		l.checks = l.checks[1:]
	}
}

func (l *ledger) compare(c check, began time.Time, s *skew) {
	is := bounds{
		low:  c.finished - l.ends.upTo(c.latest.Add(s.stir()-s.least())),
		high: c.finished - l.ends.upTo(c.earliest.Add(-s.stir()-s.most())),
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
		l.doubt, l.doubted = 1, c.since
	case is.high < l.bound.low:
		l.unreport(is)
		l.pass(c)
	default:
		l.rebase(bounds{max(is.low, l.bound.low), min(is.high, l.bound.high)})
		l.pass(c)
	}
}

// unreport takes a report that counts less than the entries tell of. Either what
// was missing came after all, or an earlier report never did, or this one's numbers
// were read amid a change; several in a row are not the last.
func (l *ledger) unreport(is bounds) {
	if l.doubt >= 0 {
		l.doubt, l.less = 0, is
	}
	l.doubt--
	l.less = bounds{min(l.less.low, is.low), max(l.less.high, is.high)}
	if l.doubt <= -severalReports || l.gap != nil {
		l.rebase(l.less)
	}
}

func (l *ledger) rebase(b bounds) { l.known, l.bound, l.doubt = true, b, 0 }

// pass ends a gap: what this report counts has all arrived.
func (l *ledger) pass(c check) { l.passed, l.gap, l.doubted = c, nil, time.Time{} }

func (l *ledger) lost(c check, cause Cause, n int64) {
	if l.gap == nil {
		from := c.since // time without a request before it hides nothing
		if !l.doubted.IsZero() && l.doubted.Before(from) {
			from = l.doubted
		}
		l.gap = &Gap{From: from.Add(-LogDelay), Cause: cause}
	}
	l.gap.To = c.at
	l.gap.Missing += n
}

package analysis

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Gap says that access-log entries of one proxy were lost: evidence from From to
// To is not whole.
type Gap struct {
	Proxy   string
	Route   config.Key
	Version string // empty: any of the route's versions

	// From and To bound when the missing requests ended. To is the latest report that
	// misses some, or the time that was asked for while a stream is broken.
	From, To time.Time

	// Missing is how many entries are missing at least. 0 is unknown.
	Missing int64

	Cause Cause
}

// Cause says how a gap was noticed.
type Cause string

// Causes.
const (
	CauseMissing Cause = "missing" // load reports count more attempts than the logs told of
	CauseSilent  Cause = "silent"  // load reports count answers, and the logs tell of none
	CauseBroken  Cause = "broken"  // a log stream broke off while requests were under way
	// CauseUnreported says that a connected proxy sends no load reports.
	CauseUnreported Cause = "unreported"
)

// String says it in one line with numbers.
func (g Gap) String() string {
	where := fmt.Sprintf("proxy %s, %s", g.Proxy, g.Route)
	if g.Version != "" {
		where += " " + g.Version
	}
	span := fmt.Sprintf("from %s for %s", g.From.UTC().Format("15:04:05.000"), g.To.Sub(g.From).Round(time.Millisecond))
	switch g.Cause {
	case CauseSilent:
		return fmt.Sprintf("%s: no log entry %s while load reports count %d attempts", where, span, g.Missing)
	case CauseBroken:
		return fmt.Sprintf("%s: a log stream broke off %s while requests were under way", where, span)
	case CauseUnreported:
		return fmt.Sprintf("%s: no load report %s: what its logs lost would not show", where, span)
	case CauseMissing:
	}
	return fmt.Sprintf("%s: at least %d attempts without a log entry %s", where, g.Missing, span)
}

// compareGaps orders gaps by proxy, version and cause.
func compareGaps(a, b Gap) int {
	return cmp.Or(cmp.Compare(a.Proxy, b.Proxy), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Cause, b.Cause))
}

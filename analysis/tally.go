package analysis

import (
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Tally notices access-log entries that never came. Envoy does not: its own
// counters take what a broken stream lost for delivered. So it holds the entries of
// every attempt against the load reports, which lose nothing. One Tally serves one
// inference route. Not safe for concurrent use.
//
// now, and Load.At, are times of arrival, by our clock; an attempt's end is by its
// proxy's.
//
// A stream that breaks off shows at once. Any other lost buffer shows with the next
// report, 2 s later; one of a few entries, where requests are dense, within some
// reports.
type Tally struct {
	route   config.Key
	began   time.Time
	ledgers map[ledgerKey]*ledger
	links   map[string]*link // by proxy
	silent  map[string]time.Time

	last    *ledger // of the latest Observe; entries come in runs
	lastKey ledgerKey
}

type ledgerKey struct{ proxy, version string }

// gone is how long after its last report or entry a proxy, or a version, carries no
// traffic that we know of. forgotten is when nothing of it is kept.
const (
	gone      = 3500 * time.Millisecond
	forgotten = 10 * time.Minute
)

// NewTally begins at now with nothing known: the first report of each version says
// where to count from.
func NewTally(route config.Key, now time.Time) *Tally {
	return &Tally{route: route, began: now, ledgers: map[ledgerKey]*ledger{}, links: map[string]*link{}}
}

// Observe takes attempts as their entries arrive: all that have ended, retries and
// mirrored ones too. Those of other inference routes are passed over.
func (t *Tally) Observe(now time.Time, requests []Request) {
	for _, r := range requests {
		if r.Route != t.route || r.Attempt == 0 || r.Running {
			continue
		}
		link := t.link(r.Proxy)
		link.skew.see(now, r.End())
		link.heard = now
		if link.open == 0 { // it opened before this Tally began
			link.opened(now)
		}
		t.ledger(ledgerKey{r.Proxy, r.Version}).log(now, r)
	}
}

// Report takes load reports. Those of other inference routes are passed over.
func (t *Tally) Report(loads []Load) {
	for _, load := range loads {
		if load.Route != t.route {
			continue
		}
		l, link := t.ledger(ledgerKey{load.Proxy, load.Version}), t.link(load.Proxy)
		l.settle(load.At, t.began, &link.skew)
		l.report(load)
		link.reported, link.heard = load.At, load.At
		link.busy = link.busy || load.Issued > 0 || load.InProgress > 0
	}
}

// Stream takes the opening and closing of a proxy's log streams.
func (t *Tally) Stream(now time.Time, proxy string, open bool) { //nolint:revive // as accesslog.Sink tells it
	link := t.link(proxy)
	if open {
		link.opened(now)
		return
	}
	link.open = max(0, link.open-1)
	link.changed = now
	if !link.broken {
		link.broken, link.brokeAt = true, now
		link.busy = t.busy(proxy)
	}
}

// Gap is the first of Gaps, and whether there is one.
func (t *Tally) Gap(now time.Time) (Gap, bool) {
	gaps := t.Gaps(now)
	if len(gaps) == 0 {
		return Gap{}, false
	}
	return gaps[0], true
}

// Gaps says what is missing at now, by proxy and version. A gap ends with the first
// report whose every attempt has its entry, and which covers no time without its
// stream; or when the proxy is gone.
func (t *Tally) Gaps(now time.Time) []Gap {
	var gaps []Gap
	for key, l := range t.ledgers {
		link := t.link(key.proxy)
		l.settle(now, t.began, &link.skew)
		if l.gap != nil && now.Sub(link.heard) < gone {
			g := *l.gap
			g.Proxy, g.Route, g.Version = key.proxy, t.route, key.version
			gaps = append(gaps, g)
		}
	}
	for proxy, link := range t.links {
		t.mend(proxy, link)
		if link.broken && link.busy && now.Sub(link.heard) < gone {
			gaps = append(gaps, Gap{Proxy: proxy, Route: t.route, From: link.brokeAt.Add(-LogDelay), To: now, Cause: CauseBroken})
		}
	}
	gaps = append(gaps, t.mute(now)...)
	t.forget(now)
	slices.SortFunc(gaps, compareGaps)
	return gaps
}

// mend ends a break once every version has a report from after it, all of whose
// attempts have entries. Without a stream, only a report of no request will do.
func (t *Tally) mend(proxy string, link *link) {
	if !link.broken {
		return
	}
	for key, l := range t.ledgers {
		if key.proxy != proxy || link.reported.Sub(l.reported) > gone {
			continue
		}
		if l.passed.since.Before(link.changed) || link.open == 0 && l.passed.busy {
			return
		}
	}
	link.broken, link.busy = false, false
}

// busy says whether the latest reports of a proxy count requests.
func (t *Tally) busy(proxy string) bool {
	for key, l := range t.ledgers {
		latest := append([]check{l.passed}, l.checks...)
		if key.proxy == proxy && latest[len(latest)-1].busy {
			return true
		}
	}
	return false
}

// forget drops versions and proxies that have long been gone.
func (t *Tally) forget(now time.Time) {
	maps.DeleteFunc(t.ledgers, func(_ ledgerKey, l *ledger) bool {
		return now.Sub(l.reported) > forgotten && now.Sub(l.lastLog) > forgotten
	})
	maps.DeleteFunc(t.links, func(_ string, l *link) bool {
		return now.Sub(l.heard) > forgotten && now.Sub(l.changed) > forgotten && l.open == 0
	})
	t.last = nil
}

func (t *Tally) ledger(key ledgerKey) *ledger {
	if t.last != nil && t.lastKey == key {
		return t.last
	}
	l, ok := t.ledgers[key]
	if !ok {
		l = &ledger{}
		t.ledgers[key] = l
	}
	t.last, t.lastKey = l, key
	return l
}

func (t *Tally) link(proxy string) *link {
	l, ok := t.links[proxy]
	if !ok {
		l = &link{}
		t.links[proxy] = l
	}
	return l
}

// link is a proxy's log streams.
type link struct {
	open     int
	changed  time.Time // when one opened or closed
	reported time.Time // when the proxy's latest report came
	heard    time.Time // when its latest report or entry came
	skew     skew

	broken  bool // a stream closed, and no report has shown yet that nothing is missing
	brokeAt time.Time
	busy    bool // requests were under way then, or have been since
}

func (l *link) opened(now time.Time) {
	l.open++
	l.changed = now
}

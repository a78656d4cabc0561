package analysis

import (
	"maps"
	"time"
)

// Pulse knows which connected proxies still send load reports. One that does not
// may have lost any number of log entries without a trace, however well its logs
// look. Not safe for concurrent use.
type Pulse struct {
	heard map[string]time.Time // connected proxies: when the last report came, or they did
}

// NewPulse knows of no proxy.
func NewPulse() *Pulse { return &Pulse{heard: map[string]time.Time{}} }

// Connected says that a proxy came to be served. It has a moment to begin its
// reports.
func (p *Pulse) Connected(now time.Time, proxy string) { p.heard[proxy] = now }

// Disconnected says that a proxy left; nothing is expected of it.
func (p *Pulse) Disconnected(proxy string) { delete(p.heard, proxy) }

// Reported says that a load report came, of whatever load.
func (p *Pulse) Reported(now time.Time, proxy string) {
	if _, connected := p.heard[proxy]; connected {
		p.heard[proxy] = now
	}
}

// Silent gives the connected proxies that have not reported for three reports'
// time, and since when. Nil where all have.
func (p *Pulse) Silent(now time.Time) map[string]time.Time {
	var silent map[string]time.Time
	for proxy, heard := range p.heard {
		if now.Sub(heard) < gone {
			continue
		}
		if silent == nil {
			silent = map[string]time.Time{}
		}
		silent[proxy] = heard
	}
	return silent
}

// Mute says which connected proxies send no load reports, and since when: all of
// them, whatever was said before.
func (t *Tally) Mute(silent map[string]time.Time) { t.silent = maps.Clone(silent) }

// mute gives a gap for each silent proxy.
func (t *Tally) mute(now time.Time) []Gap {
	var gaps []Gap
	for proxy, since := range t.silent {
		gaps = append(gaps, Gap{Proxy: proxy, Route: t.route, From: since, To: now, Cause: CauseUnreported})
	}
	return gaps
}

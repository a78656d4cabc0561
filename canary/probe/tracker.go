package probe

import (
	"sync"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// check is one endpoint of one version and how to ask it.
type check struct {
	version
	endpoint string
	path     string // empty: a TCP connection
	interval time.Duration
}

type version struct {
	route config.Key
	name  string
}

// checksOf lists what a config wants asked.
func checksOf(c *config.Config, interval time.Duration) map[check]bool {
	wanted := map[check]bool{}
	for _, r := range c.Routes {
		for _, v := range r.Versions {
			ch := check{version: version{r.Key, v.Name}, interval: interval}
			if v.Health != nil {
				ch.path = v.Health.Path
				if v.Health.Interval > 0 {
					ch.interval = v.Health.Interval.D()
				}
			}
			for _, e := range v.Endpoints {
				ch.endpoint = e
				wanted[ch] = true
			}
		}
	}
	return wanted
}

// tracker sums answers per version and reports when a sum changes.
type tracker struct {
	report func(Readiness)

	mu       sync.Mutex
	wanted   map[check]bool
	answers  map[check]string
	reported map[version]Readiness
}

func newTracker(report func(Readiness)) *tracker {
	return &tracker{report: report, answers: map[check]string{}, reported: map[version]Readiness{}}
}

// expect forgets what is no longer wanted.
func (t *tracker) expect(wanted map[check]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = wanted
	for c := range t.answers {
		if !wanted[c] {
			delete(t.answers, c)
		}
	}
}

// set takes one answer and reports its version if the sum changed.
func (t *tracker) set(c check, fact string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.wanted[c] {
		return
	}
	t.answers[c] = fact
	sum := Readiness{Route: c.route, Version: c.name, Checked: true, Fact: fact, At: at}
	for other := range t.wanted {
		if other.version != c.version {
			continue
		}
		sum.Total++
		answer, asked := t.answers[other]
		switch {
		case !asked:
			sum.Checked = false
		case answer == "":
			sum.Ready++
		case sum.Fact == "":
			sum.Fact = answer
		}
	}
	last := t.reported[c.version]
	if last.Ready == sum.Ready && last.Total == sum.Total && last.Checked == sum.Checked {
		return
	}
	t.reported[c.version] = sum
	t.report(sum)
}

package probe

import (
	"maps"
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
	answers  map[check]answer // believed
	last     map[check]answer
	reported map[version]Readiness
}

// answer is what one check found.
type answer struct {
	fact  string // empty: ready
	heard bool   // the endpoint itself said so
}

// believed says whether an answer that follows another is taken for the endpoint's state.
// Envoy holds an endpoint that answers badly to be unready at once, one that does not
// answer after two checks, and one that is ready again after its own next check, which
// is at most an interval away.
func (a answer) believed(after answer) bool {
	return a.fact != "" && a.heard || (a.fact == "") == (after.fact == "")
}

func newTracker(report func(Readiness)) *tracker {
	return &tracker{report: report, answers: map[check]answer{}, last: map[check]answer{}, reported: map[version]Readiness{}}
}

// expect forgets what is no longer wanted.
func (t *tracker) expect(wanted map[check]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = wanted
	forgotten := func(c check, _ answer) bool { return !wanted[c] }
	maps.DeleteFunc(t.answers, forgotten)
	maps.DeleteFunc(t.last, forgotten)
}

// set takes one answer and reports its version if the sum changed.
func (t *tracker) set(c check, a answer, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.wanted[c] {
		return
	}
	last, asked := t.last[c]
	t.last[c] = a
	if asked && !a.believed(last) {
		return
	}
	t.answers[c] = a
	sum := Readiness{Route: c.route, Version: c.name, Checked: true, Fact: a.fact, At: at}
	for other := range t.wanted {
		if other.version != c.version {
			continue
		}
		sum.Total++
		answer, known := t.answers[other]
		switch {
		case !known:
			sum.Checked = false
		case answer.fact == "":
			sum.Ready++
		case sum.Fact == "":
			sum.Fact = answer.fact
		}
	}
	if was := t.reported[c.version]; was.Ready == sum.Ready && was.Total == sum.Total && was.Checked == sum.Checked {
		return
	}
	t.reported[c.version] = sum
	t.report(sum)
}

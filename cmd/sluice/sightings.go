package main

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/ads"
)

// proxyView is what is known of one proxy: the ledger's part, and what its logs
// show.
type proxyView struct {
	ads.ProxyStatus

	Routes  []proxyRoute   `json:"routes"`
	Refused []proxyRefusal `json:"refused,omitempty"`
	// LastEntry is when the last access-log entry came. Zero: none has.
	LastEntry time.Time `json:"lastEntry,omitzero"`
	// LogDelay is the least time, lately, from the end of a request by the proxy's clock
	// to its entry by ours. Below zero the proxy's clock is ahead by at least as much.
	LogDelay time.Duration `json:"logDelay,omitempty"`
	// ClockAhead is that much. Default 0.
	ClockAhead time.Duration `json:"clockAhead,omitempty"`
}

// proxyRoute is how far an inference route has come on a proxy.
type proxyRoute struct {
	ads.RouteStatus

	// Observed is the split of the last request that the proxy told of: what it serves,
	// whatever it answered.
	Observed ads.Mark `json:"observed,omitzero"`
	// Missing says which of its log entries this proxy's logs lose now. Empty: none.
	Missing string `json:"missing,omitempty"`
}

// proxyRefusal is a resource that a proxy does not take.
type proxyRefusal struct {
	Type string `json:"type"` // Cluster, Listener, …
	Name string `json:"name"`
	Text string `json:"text"` // Envoy's own
}

// viewsOf joins what discovery knows of proxies with what their logs show.
func viewsOf(ledger []ads.ProxyStatus, s *sightings, snapshots []controller.Snapshot) []proxyView {
	views := make([]proxyView, 0, len(ledger))
	for _, p := range ledger {
		v := proxyView{ProxyStatus: p}
		for _, r := range p.Refused {
			kind := string(r.Resource.Type)
			v.Refused = append(v.Refused, proxyRefusal{kind[strings.LastIndexByte(kind, '.')+1:], r.Resource.Name, strings.TrimSpace(r.Text)})
		}
		seen := s.of(p.Proxy)
		v.LastEntry = seen.last
		if !seen.last.IsZero() {
			v.LogDelay = seen.delay
			v.ClockAhead = max(0, -seen.delay)
		}
		for _, r := range p.Routes {
			v.Routes = append(v.Routes, proxyRoute{r, seen.routes[r.Route], missingAt(p.Proxy, r.Route, snapshots)})
		}
		views = append(views, v)
	}
	return views
}

// missingAt finds what the analysis says is lost of a route in a proxy's logs.
func missingAt(proxy string, route config.Key, snapshots []controller.Snapshot) string {
	for _, s := range snapshots {
		if s.State.Route == route && strings.HasPrefix(s.Gap, "proxy "+proxy+", ") {
			return s.Gap
		}
	}
	return ""
}

// sightings notes what the logs of each proxy show, on their way to the analysis.
type sightings struct {
	accesslog.Sink

	now func() time.Time

	mu      sync.Mutex
	proxies map[string]*sighting
}

// sighting is what the logs of one proxy show.
type sighting struct {
	mu     sync.Mutex
	last   time.Time
	delays [2]time.Duration // least of the present spell and of the one before
	spell  time.Time        // when the present one began
	routes map[config.Key]ads.Mark
}

// spell is how long a least delay counts, at least.
const spell = 10 * time.Second

func newSightings(next accesslog.Sink, now func() time.Time) *sightings {
	return &sightings{Sink: next, now: now, proxies: map[string]*sighting{}}
}

// Observe notes the requests and hands them on.
func (s *sightings) Observe(proxy string, requests []analysis.Request) {
	s.find(proxy).note(s.now(), requests)
	s.Sink.Observe(proxy, requests)
}

func (s *sightings) find(proxy string) *sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.proxies[proxy]
	if one == nil {
		one = &sighting{routes: map[config.Key]ads.Mark{}}
		s.proxies[proxy] = one
	}
	return one
}

// note takes a message's requests. Only the last of each inference route counts:
// entries come in the order in which requests end.
func (s *sighting) note(now time.Time, requests []analysis.Request) {
	if len(requests) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = now
	var route config.Key
	for i := range slices.Backward(requests) {
		r := &requests[i]
		if r.Route == route || r.Shadow {
			continue // another entry of this message was later
		}
		if !r.Running { // or else one that ended before it was told of may have begun later
			route = r.Route
		}
		if known := s.routes[r.Route]; known.At.Before(r.Start) {
			s.routes[r.Route] = ads.Mark{Epoch: r.Epoch, At: r.Start}
		}
	}
	for i := range slices.Backward(requests) {
		if !requests[i].Running { // whose entry comes long after its first byte
			s.wait(now, now.Sub(requests[i].End()))
			return
		}
	}
}

// wait notes how late the newest entry came.
func (s *sighting) wait(now time.Time, delay time.Duration) {
	switch {
	case s.spell.IsZero():
		s.spell, s.delays = now, [2]time.Duration{delay, delay}
	case now.Sub(s.spell) > spell:
		s.spell, s.delays = now, [2]time.Duration{delay, s.delays[0]}
	default:
		s.delays[0] = min(s.delays[0], delay)
	}
}

// seen is a copy of a sighting.
type seen struct {
	last   time.Time
	delay  time.Duration
	routes map[config.Key]ads.Mark
}

func (s *sightings) of(proxy string) seen {
	s.mu.Lock()
	one := s.proxies[proxy]
	s.mu.Unlock()
	if one == nil {
		return seen{}
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return seen{one.last, min(one.delays[0], one.delays[1]), maps.Clone(one.routes)}
}

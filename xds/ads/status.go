package ads

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// ProxyStatus is what is known of one connected proxy.
type ProxyStatus struct {
	Proxy string    `json:"proxy"` // node id
	Envoy string    `json:"envoy"` // its version, as "1.40.0"; empty if it did not say
	Since time.Time `json:"since"`
	// Routes are the inference routes that are served, sorted by key.
	Routes []RouteStatus `json:"routes"`
	// Refused are the resources that the proxy refused and that are still served to
	// it, sorted. Whoever writes them as JSON names types in its own way.
	Refused []Refusal `json:"-"`
}

// RouteStatus says how far an inference route has come on one proxy.
type RouteStatus struct {
	Route     config.Key `json:"route"`
	Published Mark       `json:"published"` // what all proxies should have
	Sent      Mark       `json:"sent"`
	// Acked is what requests meet, wherever they come in: at a former port, too, while
	// the one that is wanted is refused.
	Acked Mark `json:"acked"`
	// Nack is why the proxy refused the table that was sent, or the listener that leads
	// there; empty if it did neither.
	Nack     string    `json:"nack,omitempty"`
	NackedAt time.Time `json:"nackedAt,omitzero"`
	// Late says that the proxy has not answered for the AckTimeout, and is no longer
	// waited for. It serves what it had.
	Late bool `json:"late,omitempty"`
}

// Mark is an epoch and when it got so far. The zero Mark is never.
type Mark struct {
	Epoch uint64    `json:"epoch,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// Refusal is a resource that a proxy refused, in its words.
type Refusal struct {
	Resource xds.Ref
	Text     string
}

// Proxies lists the connected proxies by node id. Two streams under one id are
// two proxies.
func (s *Server) Proxies() []ProxyStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]ProxyStatus, 0, len(s.sessions))
	routes := slices.SortedFunc(maps.Keys(s.placed), config.Key.Compare)
	for c := range s.sessions {
		list = append(list, ProxyStatus{Proxy: c.proxy, Envoy: c.build, Since: c.since, Routes: s.routesOf(c, routes), Refused: c.refusals()})
	}
	slices.SortFunc(list, func(a, b ProxyStatus) int {
		return cmp.Or(cmp.Compare(a.Proxy, b.Proxy), a.Since.Compare(b.Since))
	})
	return list
}

func (s *Server) routesOf(c *session, routes []config.Key) []RouteStatus {
	list := make([]RouteStatus, 0, len(routes))
	for _, k := range routes {
		list = append(list, s.routeOf(c, k))
	}
	return list
}

// routeOf counts a former port as long as requests come in there: what they meet
// last is how far the inference route has come.
func (s *Server) routeOf(c *session, k config.Key) RouteStatus {
	r := RouteStatus{Route: k}
	serves := false
	for _, place := range s.places(k) {
		if e := s.fanouts[xds.TypeRoute].entries[place.Table]; e != nil && e.carries[k] > r.Published.Epoch {
			r.Published = Mark{e.carries[k], e.published}
		}
		r.Late = r.Late || s.late(c, place)
		s.fillNack(&r, c, place)
		sent, acked := c.marks(k, place.Table)
		switch {
		case !c.serves(place):
			if !serves && r.Sent.At.IsZero() {
				r.Sent = sent
			}
		case !serves || acked.Epoch < r.Acked.Epoch:
			r.Sent, r.Acked, serves = sent, acked, true
		}
	}
	return r
}

// late says whether a proxy was given up on for anything that leads to a table.
func (s *Server) late(c *session, place xds.Place) bool {
	return slices.ContainsFunc(waysTo(place), func(r xds.Ref) bool {
		b := s.ballots[r]
		return b != nil && b.late[c] && !b.refused[c]
	})
}

// serves says whether requests come in at a place, as far as a proxy has said.
func (c *session) serves(place xds.Place) bool {
	if place.Listener == "" {
		return c.holds(xds.TypeRoute, place.Table) != nil
	}
	return c.listens(place.Listener)
}

func (c *session) holds(t xds.Type, resource string) *held {
	if w := c.watches[t]; w != nil {
		return w.held[resource]
	}
	return nil
}

// marks says how far a table has come.
func (c *session) marks(k config.Key, table string) (sent, acked Mark) {
	h := c.holds(xds.TypeRoute, table)
	if h == nil {
		return Mark{}, Mark{}
	}
	return markOf(h.told, k, h.toldAt), markOf(h.acked, k, h.ackedAt)
}

// fillNack notes that a table was refused, or that no request comes there.
func (s *Server) fillNack(r *RouteStatus, c *session, place xds.Place) {
	if r.Nack != "" {
		return
	}
	if w := c.watches[xds.TypeRoute]; w != nil {
		r.Nack, r.NackedAt = w.refused[place.Table].text, w.refused[place.Table].at
	}
	if n, stands := s.refusalOf(c, place.Listener); stands && r.Nack == "" {
		r.Nack, r.NackedAt = n.text, n.at
	}
}

func markOf(e *entry, k config.Key, at int64) Mark {
	if e == nil || at == 0 {
		return Mark{}
	}
	return Mark{Epoch: e.carries[k], At: time.Unix(0, at)}
}

func (c *session) refusals() []Refusal {
	var list []Refusal
	for t, w := range c.watches {
		for n, r := range w.refused {
			if w.fanout.entries[n] == r.entry {
				list = append(list, Refusal{xds.Ref{Type: t, Name: n}, r.text})
			}
		}
	}
	slices.SortFunc(list, func(a, b Refusal) int { return a.Resource.Compare(b.Resource) })
	return list
}

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
	Proxy string // node id
	Envoy string // its version, as "1.40.0"; empty if it did not say
	Since time.Time
	// Routes are the inference routes that are served, sorted by key.
	Routes []RouteStatus
	// Refused are the resources that the proxy refused and that are still served to
	// it, sorted.
	Refused []Refusal
}

// RouteStatus says how far an inference route has come on one proxy.
type RouteStatus struct {
	Route     config.Key
	Published Mark // what all proxies should have
	Sent      Mark
	Acked     Mark
	Nack      string // why the proxy refused what was sent; empty if it did not
	NackedAt  time.Time
}

// Mark is an epoch and when it got so far. The zero Mark is never.
type Mark struct {
	Epoch uint64
	At    time.Time
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
	for c := range s.sessions {
		list = append(list, ProxyStatus{Proxy: c.proxy, Envoy: c.build, Since: c.since, Routes: s.routesOf(c), Refused: c.refusals()})
	}
	slices.SortFunc(list, func(a, b ProxyStatus) int {
		return cmp.Or(cmp.Compare(a.Proxy, b.Proxy), a.Since.Compare(b.Since))
	})
	return list
}

func (s *Server) routesOf(c *session) []RouteStatus {
	var list []RouteStatus
	for _, k := range slices.SortedFunc(maps.Keys(s.placed), config.Key.Compare) {
		table := s.placed[k].Table
		r := RouteStatus{Route: k}
		if e := s.fanouts[xds.TypeRoute].entries[table]; e != nil {
			r.Published = Mark{e.carries[k], e.published}
		}
		if w := c.watches[xds.TypeRoute]; w != nil {
			w.fill(&r, table)
		}
		list = append(list, r)
	}
	return list
}

// fill notes how far a table has come.
func (w *watch) fill(r *RouteStatus, table string) {
	if h := w.held[table]; h != nil {
		r.Sent = markOf(h.told, r.Route, h.toldAt)
		r.Acked = markOf(h.acked, r.Route, h.ackedAt)
	}
	if n, refused := w.refused[table]; refused {
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

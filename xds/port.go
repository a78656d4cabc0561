package xds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// port is one listener and the inference routes behind it, in the order of keys.
type port struct {
	number uint32
	routes []intent
}

// table is one RouteConfiguration. Tables are small, because a proxy rebuilds a
// whole one for every change in it.
type table struct {
	name   string
	scoped bool     // reached by hostname
	hosts  []string // sorted; one "*" matches the rest
	routes []intent
}

func portsOf(intents []intent) []port {
	var ports []port
	for _, in := range intents {
		i := slices.IndexFunc(ports, func(p port) bool { return p.number == in.Listener.Port })
		if i < 0 {
			ports = append(ports, port{number: in.Listener.Port})
			i = len(ports) - 1
		}
		ports[i].routes = append(ports[i].routes, in)
	}
	return ports
}

// addTo adds the listener of p, its tables and scopes to r. It returns the
// inference routes that do not go together with earlier ones.
func (p port) addTo(r *Resources) []*RouteError {
	if bad := p.conflicts(); len(bad) > 0 {
		return bad
	}
	tables := p.tables()
	for _, t := range tables {
		config, bad := t.resource()
		if len(bad) > 0 {
			return bad
		}
		r.Routes = append(r.Routes, config)
		for _, in := range t.routes {
			r.Placed[in.Key] = p.place(in, t)
		}
	}
	scopes, err := p.scopes(tables)
	if err == nil {
		var listener Resource
		listener, err = p.listener(tables)
		r.Listeners = append(r.Listeners, listener)
		r.Scopes = append(r.Scopes, scopes...)
	}
	if err != nil {
		return blameAll(p.routes, err)
	}
	return nil
}

func (p port) place(in intent, t table) Place {
	place := Place{Epoch: in.split.Epoch, Table: t.name, Listener: listenerName(p.number)}
	if p.scoped() {
		place.Scopes = []string{loaderKey(t.name)}
		for _, host := range in.Hostnames {
			place.Scopes = append(place.Scopes, scopeKey(p.number, host))
		}
		slices.Sort(place.Scopes)
	}
	for _, v := range in.Versions {
		place.Clusters = append(place.Clusters, name.Cluster(in.Key, v.Name))
	}
	slices.Sort(place.Clusters)
	return place
}

func blameAll(routes []intent, err error) []*RouteError {
	bad := make([]*RouteError, len(routes))
	for i, in := range routes {
		bad[i] = &RouteError{in.Key, err}
	}
	return bad
}

// conflicts finds routes that want the port on another address than the first.
func (p port) conflicts() []*RouteError {
	var bad []*RouteError
	first := p.routes[0]
	for _, in := range p.routes[1:] {
		if in.Listener.Address != first.Listener.Address {
			bad = append(bad, &RouteError{in.Key, fmt.Errorf("listener: port %d is opened on %s by %q, not on %s",
				p.number, first.Listener.Address, first.Key, in.Listener.Address)})
		}
	}
	return bad
}

// scoped says whether every request can be led to its table by its hostname
// alone. Scopes know neither wildcards nor a rest.
func (p port) scoped() bool {
	return !slices.ContainsFunc(p.routes, func(in intent) bool {
		return len(in.Hostnames) == 0 || slices.ContainsFunc(in.Hostnames, isWildcard)
	})
}

func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// tables gives one table per group of hostnames that inference routes share, or
// one for the port where it cannot be scoped. Each inference route is in exactly
// one.
func (p port) tables() []table {
	if !p.scoped() {
		return []table{{name: tableName(p.number, "*"), hosts: hostsOf(p.routes), routes: p.routes}}
	}
	var tables []table
	for _, in := range p.routes {
		joined := table{scoped: true, routes: []intent{in}}
		tables = slices.DeleteFunc(tables, func(t table) bool {
			if !sharesHost(t.routes, in) {
				return false
			}
			joined.routes = append(t.routes, joined.routes...)
			return true
		})
		tables = append(tables, joined)
	}
	for i := range tables {
		t := &tables[i]
		slices.SortFunc(t.routes, func(a, b intent) int { return a.Key.Compare(b.Key) })
		t.hosts = hostsOf(t.routes)
		t.name = tableName(p.number, t.hosts[0])
	}
	return tables
}

func sharesHost(routes []intent, in intent) bool {
	return slices.ContainsFunc(routes, func(o intent) bool {
		return slices.ContainsFunc(o.Hostnames, func(h string) bool { return slices.Contains(in.Hostnames, h) })
	})
}

func hostsOf(routes []intent) []string {
	var hosts []string
	for _, in := range routes {
		hosts = append(hosts, in.Hostnames...)
		if len(in.Hostnames) == 0 {
			hosts = append(hosts, "*")
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func sortedRoutes(cfg *config.Config) []config.InferenceRoute {
	routes := slices.Clone(cfg.Routes)
	slices.SortStableFunc(routes, func(a, b config.InferenceRoute) int { return a.Key.Compare(b.Key) })
	return routes
}

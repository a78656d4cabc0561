package xds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// port is one listener and the inference routes behind it, in the order of keys.
type port struct {
	number uint32
	routes []intent
	scoped bool // every request can be led to its table by its hostname alone
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
			room := len(intents) / (len(ports) + 1) // most often there is one port
			ports = append(ports, port{number: in.Listener.Port, routes: make([]intent, 0, room)})
			i = len(ports) - 1
		}
		ports[i].routes = append(ports[i].routes, in)
	}
	for i := range ports {
		ports[i].scoped = scoped(ports[i].routes)
	}
	return ports
}

// add adds the listener of p, its tables and scopes to r. It returns the inference
// routes that do not go together with earlier ones.
func (t *Translator) add(p port, r *Resources) []*RouteError {
	if bad := p.conflicts(); len(bad) > 0 {
		return bad
	}
	tables := p.tables()
	for _, one := range tables {
		config, bad := t.table(one)
		if len(bad) > 0 {
			return bad
		}
		r.Routes = append(r.Routes, config)
		for _, in := range one.routes {
			if place := p.place(in, one); in.former != nil {
				r.Former[in.Key] = append(r.Former[in.Key], place)
			} else {
				r.Placed[in.Key] = place
			}
		}
	}
	scopes, err := t.scopesOf(p, tables)
	if err != nil {
		return blameAll(p.routes, err)
	}
	r.Scopes = append(r.Scopes, scopes...)
	if p.closed() {
		return nil
	}
	listener, err := t.listener(p, tables)
	if err != nil {
		return blameAll(p.routes, err)
	}
	r.Listeners = append(r.Listeners, listener)
	return nil
}

// closed says that nobody is to connect to the port any more.
func (p port) closed() bool {
	return !slices.ContainsFunc(p.routes, func(in intent) bool { return !in.closed() })
}

func (p port) place(in intent, t table) Place {
	place := Place{Epoch: in.split.Epoch, Table: t.name, Listener: ListenerName(p.number)}
	if in.closed() {
		place.Listener = ""
	}
	if p.scoped {
		place.Scopes = []string{loaderKey(t.name)}
		for _, host := range in.Hostnames {
			place.Scopes = append(place.Scopes, scopeKey(p.number, host))
		}
		slices.Sort(place.Scopes)
	}
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
func scoped(routes []intent) bool {
	return !slices.ContainsFunc(routes, func(in intent) bool {
		return len(in.Hostnames) == 0 || slices.ContainsFunc(in.Hostnames, isWildcard)
	})
}

func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// tables gives one table per group of hostnames that inference routes share, or
// one for the port where it cannot be scoped. Each inference route is in exactly
// one.
func (p port) tables() []table {
	if !p.scoped {
		return []table{{name: tableName(p.number, "*"), hosts: hostsOf(p.routes), routes: p.routes}}
	}
	var tables []table
	for _, routes := range groups(p.routes) {
		slices.SortFunc(routes, func(a, b intent) int { return a.Key.Compare(b.Key) })
		hosts := hostsOf(routes)
		tables = append(tables, table{name: tableName(p.number, hosts[0]), scoped: true, hosts: hosts, routes: routes})
	}
	return tables
}

// groups gathers inference routes that share a hostname, or share one with another
// that does.
func groups(routes []intent) [][]intent {
	groups := make([][]intent, 0, len(routes))
	of := map[string]int{} // a hostname's group
	for i, in := range routes {
		groups = append(groups, routes[i:i+1:i+1]) // most are alone, and not copied
		for _, host := range in.Hostnames {
			if earlier, ok := of[host]; ok && earlier != i {
				groups[i] = append(groups[i], groups[earlier]...)
				for _, moved := range groups[earlier] {
					assign(of, moved.Hostnames, i)
				}
				groups[earlier] = nil
			}
			of[host] = i
		}
	}
	return slices.DeleteFunc(groups, func(g []intent) bool { return len(g) == 0 })
}

func assign(of map[string]int, hosts []string, group int) {
	for _, host := range hosts {
		of[host] = group
	}
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

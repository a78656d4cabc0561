package xds

import (
	"fmt"
	"slices"
	"strconv"

	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

const (
	// headerScope leads a request to its table. Scopes of all listeners come to
	// each of them, so the port is part of the key.
	headerScope = "x-sluice-scope"
	authority   = "%REQ(:authority)%"
	// lowerScope is for the few clients that write hostnames with capitals: scopes
	// are compared as bytes.
	lowerScope = `function envoy_on_request(h)
  local scope = h:headers():get("` + headerScope + `")
  local lower = string.lower(scope)
  if lower ~= scope then
    h:headers():replace("` + headerScope + `", lower)
    h:clearRouteCache()
  end
end`
)

// scopeKey is what the header of a request for host holds, and the name of the
// scope that it meets.
func scopeKey(port uint32, host string) string { return strconv.Itoa(int(port)) + "/" + host }

// loaderKey names the scope that no request meets: it has proxies load a table
// before a hostname leads there, which would be answered 404 until they have.
func loaderKey(table string) string { return "table/" + table }

// scopes lead each hostname to its table.
func (t table) scopes(port uint32) ([]Resource, error) {
	load := Ref{TypeRoute, t.name}
	loader, err := newScope(loaderKey(t.name), t.name, load)
	if err != nil {
		return nil, fmt.Errorf("table %q: %w", t.name, err)
	}
	scopes := []Resource{loader}
	for _, host := range t.hosts {
		scope, err := newScope(scopeKey(port, host), t.name, load, Ref{TypeScope, loader.Name})
		if err != nil {
			return nil, fmt.Errorf("hostname %q: %w", host, err)
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

func newScope(key, table string, needs ...Ref) (Resource, error) {
	r, err := newResource(key, &routepb.ScopedRouteConfiguration{
		Name:                   key,
		RouteConfigurationName: table,
		Key: &routepb.ScopedRouteConfiguration_Key{Fragments: []*routepb.ScopedRouteConfiguration_Key_Fragment{{
			Type: &routepb.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: key},
		}}},
	})
	r.Needs = needs
	slices.SortFunc(r.Needs, Ref.Compare)
	return r, err
}

// Package xds says what Envoy is told: it turns inference routes and their
// splits into Envoy's resources, byte-equal for equal input, and plans in which
// order a change may reach a proxy. It never opens a socket, reads a clock or
// starts a goroutine; xds/ads serves what is decided here, and xds/envoy minds a
// process.
//
// Start reading at Translate, then Next in phases.go.
package xds

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// Clusters that Bootstrap defines and resources refer to.
const (
	ClusterXDS = "sluice_xds" // the control plane's discovery service
	ClusterALS = "sluice_als" // access logs and load reports
	// ClusterTap takes bodies of answers to copies. It has connections of its own: access
	// logs do not wait for them.
	ClusterTap = "sluice_tap"
)

// Resources is everything that Envoy is told for one config and the splits in
// force. Each list is sorted by name; names are unique within a list. It is
// immutable.
type Resources struct {
	Clusters  []Resource
	Endpoints []Resource
	Routes    []Resource // RouteConfigurations
	Scopes    []Resource
	Listeners []Resource

	// Placed says where each inference route went. One that was refused is absent.
	Placed map[config.Key]Place
	// Former says where inference routes that move are led as well.
	Former map[config.Key][]Place
	// Kept are the former ports that they are led from. Others have yielded to what is
	// wanted.
	Kept Formers
	// Refused are the errors that Translate returned, by the order of inference routes.
	Refused []*RouteError
	// Unmirrored says, in that order, why inference routes that are placed are served
	// without their split's mirror. Their weights are served all the same.
	Unmirrored []*RouteError
}

// Place names the resources that carry one inference route.
type Place struct {
	Epoch    uint64
	Table    string   // the one RouteConfiguration; a change of weight changes nothing else
	Listener string   // the one Listener; empty where nobody is to connect any more
	Scopes   []string // that lead to the table; sorted, none on a port without scopes
}

// RouteError says why an inference route was refused. The others are not
// affected.
type RouteError struct {
	Route config.Key
	Err   error
}

// Error names the inference route and the fact.
func (e *RouteError) Error() string { return fmt.Sprintf("inference route %q: %v", e.Route, e.Err) }

// Unwrap gives the fact.
func (e *RouteError) Unwrap() error { return e.Err }

// Translate builds every Envoy resource for cfg and the splits now in force.
// Equal inputs give equal bytes. Each resource has passed Envoy's protobuf rules.
// An inference route that cannot be translated is left out and named by a
// *RouteError; the returned error joins them, and the Resources beside it hold
// the others.
func Translate(cfg *config.Config, splits map[config.Key]config.Split) (Resources, error) {
	return new(Translator).Translate(cfg, splits)
}

func finish(r Resources, refused []*RouteError) (Resources, error) {
	slices.SortFunc(refused, func(a, b *RouteError) int { return a.Route.Compare(b.Route) })
	r.Refused = refused
	errs := make([]error, len(refused))
	for i, e := range refused {
		errs[i] = e
	}
	for _, list := range [][]Resource{r.Clusters, r.Endpoints, r.Routes, r.Scopes, r.Listeners} {
		slices.SortFunc(list, func(a, b Resource) int { return cmp.Compare(a.Name, b.Name) })
	}
	return r, errors.Join(errs...)
}

func blames(errs []*RouteError, k config.Key) bool {
	return slices.ContainsFunc(errs, func(e *RouteError) bool { return e.Route == k })
}

// assemble builds the resources of intents that are each valid alone. What is
// returned beside them says which do not go together with the others.
func (t *Translator) assemble(intents []intent) (Resources, []*RouteError) {
	r := Resources{
		Placed: make(map[config.Key]Place, len(intents)), Former: map[config.Key][]Place{}, Kept: Formers{},
	}
	var bad []*RouteError
	for _, in := range intents {
		if in.former != nil {
			r.Kept[in.Key] = append(r.Kept[in.Key], *in.former)
			continue // its backends are those of the present
		}
		clusters, endpoints, err := t.backendsOf(in)
		if err != nil {
			bad = append(bad, &RouteError{in.Key, err})
			continue
		}
		if in.dropped != nil {
			r.Unmirrored = append(r.Unmirrored, &RouteError{in.Key, in.dropped})
		}
		r.Clusters = append(r.Clusters, clusters...)
		r.Endpoints = append(r.Endpoints, endpoints...)
	}
	for _, p := range portsOf(intents) {
		bad = append(bad, t.add(p, &r)...)
	}
	return r, bad
}

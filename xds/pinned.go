package xds

import (
	"fmt"

	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// pinnedRoutes come before the routes that split what match selects: they give
// what testers send to the version they ask for. No split drew such requests, so
// their epoch is none, and nothing of them is mirrored.
func pinnedRoutes(in intent, match *routepb.RouteMatch) ([]*routepb.Route, error) {
	var routes []*routepb.Route
	for i, o := range in.Overrides {
		narrow, err := narrowed(match, o)
		if err != nil {
			return nil, fmt.Errorf("overrides[%d]: %w", i, err)
		}
		pinned := in
		pinned.Stickiness = nil
		pinned.split = config.Split{Epoch: name.EpochPinned, Shares: config.Whole(o.Version)}
		routes = append(routes, splitRoute(pinned, narrow))
	}
	return routes, nil
}

// narrowed is a match of what an override selects, too.
func narrowed(match *routepb.RouteMatch, o config.Override) (*routepb.RouteMatch, error) {
	switch {
	case o.Header != nil:
		value, err := headerValue(*o.Header)
		narrow := proto.CloneOf(match)
		narrow.Headers = append(narrow.Headers, headerIs(o.Header.Name, value))
		return narrow, err
	case o.Cookie != nil:
		return withCookie(match, o.Cookie.Name, exactly(o.Cookie.Value)), nil
	}
	return nil, fmt.Errorf("has neither header nor cookie")
}

// checkOverrides refuses what would send testers nowhere.
func checkOverrides(r config.InferenceRoute) []error {
	var errs []error
	for i, o := range r.Overrides {
		if _, ok := r.Version(o.Version); !ok {
			errs = append(errs, fmt.Errorf("overrides[%d]: version %q is not one of the inference route's", i, o.Version))
		}
	}
	return errs
}

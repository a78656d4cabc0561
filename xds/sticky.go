package xds

import (
	"fmt"
	"slices"
	"strings"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	metadatapb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	matcherpb "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// headerRequestID holds what Envoy names each request by, anew.
const headerRequestID = "x-request-id"

// splitRoutes divide what match selects: one route, or, where a cookie holds the
// unit, one for clients that have it and one that gives it to the others. A unit
// is the id of a client's first request: both routes hash the same text, so that
// the first request, too, goes where the later ones will.
func splitRoutes(in intent, match *routepb.RouteMatch) ([]*routepb.Route, error) {
	routes := unitRoutes(in, match)
	if err := readUnits(in, routes); err != nil {
		return nil, fmt.Errorf("stickiness: %w", err)
	}
	if c, ok := coverOf(in); ok {
		for _, route := range routes {
			if err := c.protect(in, route); err != nil {
				return nil, fmt.Errorf("protect: %w", err)
			}
		}
	}
	return routes, nil
}

func unitRoutes(in intent, match *routepb.RouteMatch) []*routepb.Route {
	if in.Stickiness == nil {
		return []*routepb.Route{splitRoute(in, match)}
	}
	cookie := in.Stickiness.Cookie
	switch {
	case in.Stickiness.ClientAddress != nil:
		return []*routepb.Route{splitRoute(in, match, unitInAddress())}
	case cookie == nil:
		return []*routepb.Route{splitRoute(in, match, unitInHeader(in.Stickiness.Header))}
	}
	known := splitRoute(in, withCookie(match, cookie.Name, anyText()), unitInCookie(cookie.Name))
	given := splitRoute(in, match, unitInHeader(headerRequestID))
	given.ResponseHeadersToAdd = []*corepb.HeaderValueOption{giveUnit(*cookie)}
	return []*routepb.Route{known, given}
}

// splitRoute is one route that divides by shares: by the hash of units, or at
// random where there are none.
func splitRoute(in intent, match *routepb.RouteMatch, units ...unit) *routepb.Route {
	action := actionOf(in)
	route := &routepb.Route{
		Name:   name.Route(in.Key, in.split.Epoch),
		Match:  match,
		Action: &routepb.Route_Route{Route: action},
	}
	if in.segments != "" {
		route.RequestHeadersToAdd = []*corepb.HeaderValueOption{overwrite(name.HeaderSegment, "%REQ("+in.segments+")%")}
	}
	for _, u := range units {
		action.HashPolicy = append(action.HashPolicy, u.hash)
		route.RequestHeadersToAdd = append(route.RequestHeadersToAdd, overwrite(name.HeaderUnit, u.text))
	}
	return route
}

// unit is where a request says whose it is: what is hashed, and what is logged.
type unit struct {
	hash *routepb.RouteAction_HashPolicy
	text string // in Envoy's form of substitution
}

func unitInHeader(header string) unit {
	return unit{&routepb.RouteAction_HashPolicy{PolicySpecifier: &routepb.RouteAction_HashPolicy_Header_{
		Header: &routepb.RouteAction_HashPolicy_Header{HeaderName: header},
	}}, "%REQ(" + header + ")%"}
}

// unitInAddress takes the address without its port.
func unitInAddress() unit {
	return unit{&routepb.RouteAction_HashPolicy{PolicySpecifier: &routepb.RouteAction_HashPolicy_ConnectionProperties_{
		ConnectionProperties: &routepb.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
	}}, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}
}

// unitInCookie has no TTL, with which Envoy would make cookies of its own whose
// hash is not that of the request which it answers.
func unitInCookie(cookie string) unit {
	return unit{&routepb.RouteAction_HashPolicy{PolicySpecifier: &routepb.RouteAction_HashPolicy_Cookie_{
		Cookie: &routepb.RouteAction_HashPolicy_Cookie{Name: cookie},
	}}, "%DYNAMIC_METADATA(" + unitNamespace + ":" + unitKey + ")%"}
}

const (
	unitReader    = "envoy.filters.http.header_to_metadata"
	unitNamespace = "sluice.unit"
	unitKey       = "unit"
)

// cookies says whether a cookie may hold the unit of a request.
func (p port) cookies() bool {
	return slices.ContainsFunc(p.routes, func(in intent) bool { return in.Stickiness != nil && in.Stickiness.Cookie != nil })
}

// readUnits has routes note the cookie that holds the unit, for the log: Envoy's
// substitutions know whole headers only.
func readUnits(in intent, routes []*routepb.Route) error {
	if in.Stickiness == nil || in.Stickiness.Cookie == nil {
		return nil
	}
	config, err := pack(&metadatapb.Config{RequestRules: []*metadatapb.Config_Rule{{
		Cookie: in.Stickiness.Cookie.Name,
		OnHeaderPresent: &metadatapb.Config_KeyValuePair{
			MetadataNamespace: unitNamespace, Key: unitKey, Type: metadatapb.Config_STRING,
		},
	}}})
	if err != nil {
		return err
	}
	for _, route := range routes {
		route.TypedPerFilterConfig = map[string]*anypb.Any{unitReader: config}
	}
	return nil
}

// giveUnit adds a cookie beside those that a version sets.
func giveUnit(cookie config.UnitCookie) *corepb.HeaderValueOption {
	literal := strings.ReplaceAll(cookie.Name, "%", "%%")
	value := fmt.Sprintf("%s=%%REQ(%s)%%; Path=/; HttpOnly", literal, headerRequestID)
	if cookie.TTL > 0 {
		value += fmt.Sprintf("; Max-Age=%d", int64(cookie.TTL.D().Seconds()))
	}
	return &corepb.HeaderValueOption{
		Header:       &corepb.HeaderValue{Key: "set-cookie", Value: value},
		AppendAction: corepb.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD,
	}
}

// withCookie narrows a match to requests with a cookie.
func withCookie(match *routepb.RouteMatch, cookie string, value *matcherpb.StringMatcher) *routepb.RouteMatch {
	narrow := proto.CloneOf(match)
	narrow.Cookies = append(slices.Clip(narrow.GetCookies()), &routepb.CookieMatcher{Name: cookie, StringMatch: value})
	return narrow
}

// anyText matches whatever is not empty: there is nothing to hash in that.
func anyText() *matcherpb.StringMatcher {
	return &matcherpb.StringMatcher{MatchPattern: &matcherpb.StringMatcher_SafeRegex{SafeRegex: &matcherpb.RegexMatcher{Regex: ".+"}}}
}

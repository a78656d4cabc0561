package xds

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherpb "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sluice-dev/sluice/config"
)

// rule is one match of one inference route, as seen from one hostname.
type rule struct {
	route   intent
	match   config.Match
	hostFit int // how specific the inference route's hostname is here; higher wins
}

// rulesFor lists the rules that requests for host can meet, best first: the most
// specific hostname, then a model, which is a name as a hostname is, then Gateway
// API's precedence: an exact path, a regular expression (which Gateway API leaves
// open), the longest prefix, a method, the most headers; last the order of keys and of
// matches.
func rulesFor(host string, routes []intent) []rule {
	var rules []rule
	for _, in := range routes {
		fit, ok := hostFit(host, in.Hostnames)
		if !ok {
			continue
		}
		for _, m := range in.Matches {
			rules = append(rules, rule{in, m, fit})
		}
	}
	slices.SortStableFunc(rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(b.hostFit, a.hostFit), compareMatch(a.match, b.match), a.route.Key.Compare(b.route.Key))
	})
	return rules
}

// hostFit says how well hostnames cover host: 0 by naming none, the length of a
// wildcard, and most for the name itself.
func hostFit(host string, hostnames []string) (int, bool) {
	const exact = 1 << 16
	best, ok := 0, len(hostnames) == 0
	for _, h := range hostnames {
		switch {
		case h == host:
			return exact, true
		case isWildcard(h) && strings.HasSuffix(host, h[1:]):
			best, ok = max(best, len(h)), true
		}
	}
	return best, ok
}

// compareMatch orders the better match first.
func compareMatch(a, b config.Match) int {
	kindA, lenA := pathRank(a.Path)
	kindB, lenB := pathRank(b.Path)
	return cmp.Or(
		cmp.Compare(min(len(b.Model), 1), min(len(a.Model), 1)),
		cmp.Compare(kindB, kindA),
		cmp.Compare(lenB, lenA),
		cmp.Compare(min(len(b.Method), 1), min(len(a.Method), 1)),
		cmp.Compare(len(b.Headers), len(a.Headers)),
	)
}

func pathRank(p *config.PathMatch) (kind, length int) {
	switch {
	case p == nil:
		return 0, 1
	case p.Type == config.PathExact:
		return 2, len(p.Value)
	case p.Type == config.PathExpression:
		return 1, len(p.Value)
	}
	return 0, len(p.Value)
}

// hidden finds rules that an equal rule of another inference route hides.
func hidden(rules []rule) []*RouteError {
	var bad []*RouteError
	for i, r := range rules {
		for _, before := range rules[:i] {
			if before.hostFit == r.hostFit && before.route.Key != r.route.Key && reflect.DeepEqual(before.match, r.match) {
				bad = append(bad, &RouteError{r.route.Key, fmt.Errorf("matches: %s is already matched by %q on the same hostname",
					describe(r.match), before.route.Key)})
				break
			}
		}
	}
	return bad
}

func describe(m config.Match) string {
	path := "path /"
	if m.Path != nil {
		path = fmt.Sprintf("path %s", m.Path.Value)
	}
	if m.Model != "" {
		path += fmt.Sprintf(", model %q", m.Model)
	}
	return fmt.Sprintf("%s, method %q, %d headers", path, m.Method, len(m.Headers))
}

func matchOf(m config.Match) (*routepb.RouteMatch, error) {
	out := &routepb.RouteMatch{}
	if err := setPath(out, m.Path); err != nil {
		return nil, err
	}
	if m.Method != "" {
		out.Headers = append(out.Headers, headerIs(":method", exactly(m.Method)))
	}
	if m.Model != "" {
		out.DynamicMetadata = []*matcherpb.MetadataMatcher{modelIs(m.Model)}
	}
	for _, h := range m.Headers {
		matcher, err := headerValue(h)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", h.Name, err)
		}
		out.Headers = append(out.Headers, headerIs(h.Name, matcher))
	}
	return out, nil
}

func headerValue(h config.HeaderMatch) (*matcherpb.StringMatcher, error) {
	switch h.Type {
	case config.HeaderExact, "":
		return exactly(h.Value), nil
	case config.HeaderExpression:
		re, err := expression(h.Value)
		return &matcherpb.StringMatcher{MatchPattern: &matcherpb.StringMatcher_SafeRegex{SafeRegex: re}}, err
	}
	return nil, fmt.Errorf("type %q is neither Exact nor RegularExpression", h.Type)
}

func setPath(out *routepb.RouteMatch, p *config.PathMatch) error {
	if p == nil {
		p = &config.PathMatch{Type: config.PathPrefix, Value: "/"}
	}
	switch p.Type {
	case config.PathExact:
		out.PathSpecifier = &routepb.RouteMatch_Path{Path: p.Value}
	case config.PathExpression:
		re, err := expression(p.Value)
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		out.PathSpecifier = &routepb.RouteMatch_SafeRegex{SafeRegex: re}
	case config.PathPrefix, "":
		// Gateway API's prefixes end at a slash: /v1 matches /v1/x and not /v11.
		if prefix := strings.TrimRight(p.Value, "/"); prefix != "" {
			out.PathSpecifier = &routepb.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}
		} else {
			out.PathSpecifier = &routepb.RouteMatch_Prefix{Prefix: "/"}
		}
	default:
		return fmt.Errorf("path %q: type %q is none of Exact, PathPrefix, RegularExpression", p.Value, p.Type)
	}
	return nil
}

func headerIs(header string, m *matcherpb.StringMatcher) *routepb.HeaderMatcher {
	return &routepb.HeaderMatcher{Name: header, HeaderMatchSpecifier: &routepb.HeaderMatcher_StringMatch{StringMatch: m}}
}

func exactly(s string) *matcherpb.StringMatcher {
	return &matcherpb.StringMatcher{MatchPattern: &matcherpb.StringMatcher_Exact{Exact: s}}
}

// expression checks the syntax, which is Envoy's too.
func expression(s string) (*matcherpb.RegexMatcher, error) {
	if _, err := regexp.Compile(s); err != nil {
		return nil, err
	}
	return &matcherpb.RegexMatcher{Regex: s}, nil
}

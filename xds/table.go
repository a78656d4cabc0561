package xds

import (
	"fmt"
	"slices"
	"time"

	mutationpb "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typepb "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// streamIdle is Envoy's own limit of a request on which nothing moves.
const streamIdle = 5 * time.Minute

// resource builds the RouteConfiguration. Besides, it returns inference routes
// that cannot be in it.
func (t table) resource() (Resource, []*RouteError) {
	config := &routepb.RouteConfiguration{
		Name: t.name,
		// A route to a cluster that a proxy does not know is refused by it, not served.
		ValidateClusters: wrapperspb.Bool(true),
	}
	for _, host := range t.hosts {
		domain := host
		if t.scoped && len(t.hosts) == 1 {
			domain = "*" // the scope has matched it, and it would be sent with every weight
		}
		vhost, bad := virtualHost(host, domain, t.routes)
		if len(bad) > 0 {
			return Resource{}, bad
		}
		config.VirtualHosts = append(config.VirtualHosts, vhost)
	}
	r, err := newResource(t.name, config)
	if err != nil {
		return Resource{}, blameAll(t.routes, err)
	}
	r.Needs = t.needs()
	return r, nil
}

// needs lists the clusters that requests may be sent or copied to.
func (t table) needs() []Ref {
	var refs []Ref
	for _, in := range t.routes {
		for _, share := range in.split.Shares {
			if share.Weight > 0 {
				refs = append(refs, Ref{TypeCluster, name.Cluster(in.Key, share.Version)})
			}
		}
		for _, share := range []config.Share{in.split.Mirror, in.split.Repeat} {
			if share.Weight > 0 {
				refs = append(refs, Ref{TypeCluster, in.copied(share.Version)})
			}
		}
		if c, ok := coverOf(in); ok {
			refs = append(refs, Ref{TypeCluster, name.Covered(in.Key, c.candidate, c.stable)})
		}
		for _, o := range in.Overrides {
			refs = append(refs, Ref{TypeCluster, name.Cluster(in.Key, o.Version)})
		}
	}
	slices.SortFunc(refs, Ref.Compare)
	return slices.Compact(refs)
}

func virtualHost(host, domain string, routes []intent) (*routepb.VirtualHost, []*RouteError) {
	rules := rulesFor(host, routes)
	if bad := hidden(rules); len(bad) > 0 {
		return nil, bad
	}
	vhost := &routepb.VirtualHost{Name: domain, Domains: []string{domain}, IncludeRequestAttemptCount: true}
	var bad []*RouteError
	for _, r := range rules {
		routes, err := routesOf(r)
		if err != nil {
			bad = append(bad, &RouteError{r.route.Key, err})
			continue
		}
		vhost.Routes = append(vhost.Routes, routes...)
	}
	return vhost, bad
}

// routesOf builds the Envoy routes of a rule. They are checked alone, so that bad
// ones are refused alone.
func routesOf(r rule) ([]*routepb.Route, error) {
	match, err := matchOf(r.match)
	if err != nil {
		return nil, fmt.Errorf("matches: %w", err)
	}
	routes, err := pinnedRoutes(r.route, match)
	if err != nil {
		return nil, err
	}
	split, err := splitRoutes(r.route, match)
	if err != nil {
		return nil, err
	}
	routes = append(routes, split...)
	for _, route := range routes {
		if _, err := encode(route); err != nil {
			return nil, err
		}
	}
	return routes, nil
}

func actionOf(in intent) *routepb.RouteAction {
	action := &routepb.RouteAction{
		ClusterSpecifier: &routepb.RouteAction_WeightedClusters{WeightedClusters: weighted(in)},
		Timeout:          duration(in.Timeouts.Request.D()),
		// Live requests have high priority, for circuit breakers of their own: see breakers.
		Priority: corepb.RoutingPriority_HIGH,
	}
	if in.Timeouts.Request.D() >= streamIdle {
		action.IdleTimeout = duration(min(in.Timeouts.Request.D(), longest-time.Minute) + time.Minute)
	}
	action.RequestMirrorPolicies = mirrors(in)
	return action
}

// weighted lists the shares in interval order, each stamped with its arm.
func weighted(in intent) *routepb.WeightedCluster {
	w := &routepb.WeightedCluster{}
	if in.Stickiness != nil {
		w.RandomValueSpecifier = &routepb.WeightedCluster_UseHashPolicy{UseHashPolicy: wrapperspb.Bool(true)}
	}
	for _, share := range in.split.Shares {
		if share.Weight == 0 {
			continue
		}
		arm := name.Arm(share.Version, in.split.Epoch)
		w.Clusters = append(w.Clusters, &routepb.WeightedCluster_ClusterWeight{
			Name:                 name.Cluster(in.Key, share.Version),
			Weight:               wrapperspb.UInt32(share.Weight),
			RequestHeadersToAdd:  []*corepb.HeaderValueOption{overwrite(name.HeaderArm, arm)},
			ResponseHeadersToAdd: []*corepb.HeaderValueOption{overwrite(name.HeaderServed, arm)},
		})
	}
	return w
}

func mirror(in intent, m config.Share, number int) *routepb.RouteAction_RequestMirrorPolicy {
	policy := &routepb.RouteAction_RequestMirrorPolicy{
		Cluster: in.copied(m.Version),
		RuntimeFraction: &corepb.RuntimeFractionalPercent{DefaultValue: &typepb.FractionalPercent{
			Numerator:   m.Weight,
			Denominator: typepb.FractionalPercent_TEN_THOUSAND,
		}},
		DisableShadowHostSuffixAppend: true,
		RequestHeadersMutations: []*mutationpb.HeaderMutation{{Action: &mutationpb.HeaderMutation_Append{
			Append: overwrite(name.HeaderShadow, name.Arm(m.Version, in.split.Epoch)),
		}}},
	}
	if in.reads() {
		policy.RequestHeadersMutations = append(policy.RequestHeadersMutations, copyMutations(number)...)
	}
	return policy
}

func overwrite(header, value string) *corepb.HeaderValueOption {
	return &corepb.HeaderValueOption{
		Header:       &corepb.HeaderValue{Key: header, Value: value},
		AppendAction: corepb.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

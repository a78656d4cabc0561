package xds

import (
	"fmt"
	"strings"
	"time"

	clusterpb "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointpb "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	aggregatepb "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	grouppb "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	typepb "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

const (
	// retryWait is before a retry. It goes to another version, so there is nothing to
	// wait for; Envoy's default is up to 25 ms.
	retryWait = time.Millisecond
	// oneIsEnough keeps a version's requests with it while a thousandth of its endpoints
	// is healthy, in percent. Envoy's default sends some on at 72 %.
	oneIsEnough = 100_000
	// servedBy stamps an answer where one cluster may be either of two versions: Envoy
	// asks the endpoint that answered.
	servedBy = "%UPSTREAM_METADATA(" + metadataSluice + ":" + metadataVersion + ")%"
	// assignedTo stamps a request where clusters have no headers of their own.
	assignedTo = "%UPSTREAM_CLUSTER_RAW%"

	metadataSluice  = "sluice"
	metadataVersion = "version"
)

// cover is what stands in for a candidate while it has a share: another version,
// and for how much of the traffic at the most.
type cover struct {
	candidate, stable string
	budget            uint32 // basis points
}

// coverOf says how the present split is covered, if it is. The candidate is the
// target: a canary gives no other version a share beside stable.
func coverOf(in intent) (cover, bool) {
	retry := in.Protect.RetryOnStable
	if retry == nil || in.split.Weight(in.Target) == 0 {
		return cover{}, false
	}
	c := cover{candidate: in.Target, budget: retry.Budget.BasisPoints()}
	for _, share := range in.split.Shares {
		switch {
		case share.Version == c.candidate || share.Version == c.stable || share.Weight == 0:
		case c.stable != "":
			return cover{}, false
		default:
			c.stable = share.Version
		}
	}
	return c, c.stable != ""
}

// clusters divides the split's intervals: of the candidate's, the first part is
// covered, as far as the budget goes, so that a growing share uncovers no unit.
func (c cover) clusters(in intent) []*grouppb.ClusterWeight {
	covered := c.covered(in.split.Shares)
	var list []*grouppb.ClusterWeight
	add := func(cluster string, weight uint32) {
		if weight > 0 {
			list = append(list, &grouppb.ClusterWeight{ClusterName: cluster, Weight: wrapperspb.UInt32(weight)})
		}
	}
	for i, share := range in.split.Shares {
		add(name.Covered(in.Key, c.candidate, c.stable), covered[i])
		add(name.Cluster(in.Key, share.Version), share.Weight-covered[i])
	}
	return list
}

// covered is how much of each share is. An interval that wraps round the end begins
// with the last share.
func (c cover) covered(shares []config.Share) []uint32 {
	covered := make([]uint32, len(shares))
	left := c.budget
	take := func(i int) {
		if shares[i].Version == c.candidate {
			covered[i] = min(shares[i].Weight, left)
			left -= covered[i]
		}
	}
	last := len(shares) - 1
	take(last)
	for i := range last {
		take(i)
	}
	return covered
}

// protect lets stable take over what the candidate fails. Clusters have no headers
// of their own then, so the route stamps both arms.
func (c cover) protect(in intent, route *routepb.Route) error {
	groups, err := pack(c.groups(in))
	if err != nil {
		return err
	}
	epoch := in.split.Epoch
	action := route.GetRoute()
	action.ClusterSpecifier = &routepb.RouteAction_InlineClusterSpecifierPlugin{InlineClusterSpecifierPlugin: &routepb.ClusterSpecifierPlugin{
		Extension: &corepb.TypedExtensionConfig{Name: "sluice.cover", TypedConfig: groups},
	}}
	action.RetryPolicy = c.retry(in)
	route.RequestHeadersToAdd = append(route.RequestHeadersToAdd, overwrite(name.HeaderArm, name.Arm(assignedTo, epoch)))
	route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, overwrite(name.HeaderServed, name.Arm(servedBy, epoch)))
	return nil
}

// groups are where first attempts go, and where retries do.
func (c cover) groups(in intent) *grouppb.PriorityGroupClusterSpecifier {
	stable := &grouppb.ClusterWeight{ClusterName: name.Cluster(in.Key, c.stable), Weight: wrapperspb.UInt32(1)}
	s := &grouppb.PriorityGroupClusterSpecifier{PriorityGroups: []*grouppb.PriorityGroup{
		{Name: "split", Clusters: c.clusters(in)},
		{Name: "stable", Clusters: []*grouppb.ClusterWeight{stable}},
	}}
	if in.Stickiness != nil {
		s.RandomValueSpecifier = &grouppb.PriorityGroupClusterSpecifier_UseHashPolicy{UseHashPolicy: wrapperspb.Bool(true)}
	}
	return s
}

// retry sends a failed request again, once, to the second group. The stamp says
// whose failure it was, so that stable's own are left alone and the budget is kept.
func (c cover) retry(in intent) *routepb.RetryPolicy {
	covered := name.Arm(name.Covered(in.Key, c.candidate, c.stable), in.split.Epoch)
	return &routepb.RetryPolicy{
		RetryOn:                 retryOn(in.Protocol, in.Protect.RetryOnStable.On),
		NumRetries:              wrapperspb.UInt32(1),
		RefreshClusterOnRetry:   true,
		RetriableRequestHeaders: []*routepb.HeaderMatcher{headerIs(name.HeaderArm, exactly(covered))},
		RetryBackOff:            &routepb.RetryPolicy_RetryBackOff{BaseInterval: duration(retryWait), MaxInterval: duration(retryWait)},
	}
}

func retryOn(p config.Protocol, failures []config.Failure) string {
	var words []string
	for _, f := range failures {
		words = append(words, string(f))
		if p == config.ProtocolGRPC && f == config.Failure5xx {
			words = append(words, "internal", "unavailable")
		}
	}
	return strings.Join(words, ",")
}

// coveredClusters are the target, with each other version to take over where it has
// no healthy endpoint. They depend on no split.
func coveredClusters(r config.InferenceRoute) ([]Resource, error) {
	if r.Protect.RetryOnStable == nil {
		return nil, nil
	}
	var clusters []Resource
	for _, v := range r.Versions {
		if v.Name == r.Target {
			continue
		}
		cluster, err := coveredCluster(r.Key, r.Target, v.Name)
		if err != nil {
			return nil, fmt.Errorf("version %q: %w", v.Name, err)
		}
		clusters = append(clusters, cluster)
	}
	return clusters, nil
}

func coveredCluster(route config.Key, candidate, stable string) (Resource, error) {
	members := []string{name.Cluster(route, candidate), name.Cluster(route, stable)}
	aggregate, err := pack(&aggregatepb.ClusterConfig{Clusters: members})
	if err != nil {
		return Resource{}, err
	}
	id := name.Covered(route, candidate, stable)
	r, err := newResource(id, &clusterpb.Cluster{
		Name:           id,
		ConnectTimeout: duration(connectTimeout),
		LbPolicy:       clusterpb.Cluster_CLUSTER_PROVIDED,
		ClusterDiscoveryType: &clusterpb.Cluster_ClusterType{ClusterType: &clusterpb.Cluster_CustomClusterType{
			Name: "envoy.clusters.aggregate", TypedConfig: aggregate,
		}},
		CommonLbConfig: &clusterpb.Cluster_CommonLbConfig{HealthyPanicThreshold: &typepb.Percent{}},
		// Retries are counted against the first cluster. The budget is kept by intervals.
		CircuitBreakers: &clusterpb.CircuitBreakers{Thresholds: []*clusterpb.CircuitBreakers_Thresholds{{
			Priority:   corepb.RoutingPriority_HIGH,
			MaxRetries: wrapperspb.UInt32(liveLimit),
		}}},
	})
	r.Needs = []Ref{{TypeCluster, members[0]}, {TypeCluster, members[1]}}
	return r, err
}

// coverEndpoints says in each endpoint of a version whose it is, and keeps requests
// with the version as long as it has any.
func coverEndpoints(eds *endpointpb.ClusterLoadAssignment, version string) {
	eds.Policy = &endpointpb.ClusterLoadAssignment_Policy{OverprovisioningFactor: wrapperspb.UInt32(oneIsEnough)}
	for _, locality := range eds.GetEndpoints() {
		for _, host := range locality.GetLbEndpoints() {
			host.Metadata = &corepb.Metadata{FilterMetadata: map[string]*structpb.Struct{
				metadataSluice: {Fields: map[string]*structpb.Value{metadataVersion: structpb.NewStringValue(version)}},
			}}
		}
	}
}

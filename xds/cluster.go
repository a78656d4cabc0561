package xds

import (
	"fmt"
	"slices"
	"time"

	clusterpb "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httppb "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typepb "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

const (
	connectTimeout = time.Second
	// idleUpstream closes kept connections before common model servers do after
	// five seconds, so that no request meets a closing one.
	idleUpstream = 4 * time.Second
	// liveLimit only keeps a proxy alive: queueing is the model server's decision.
	liveLimit   = 4096
	httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// ShadowLimit is how many copied requests may be under way per version and proxy. More
// are not sent.
const ShadowLimit = 32

// backendsOf builds a cluster and an endpoint list per version, and clusters that
// cover one version by another. None depends on a split.
func backendsOf(in intent) (clusters, endpoints []Resource, err error) {
	for _, v := range in.Versions {
		cluster, err := clusterOf(in.InferenceRoute, v)
		if err != nil {
			return nil, nil, fmt.Errorf("version %q: %w", v.Name, err)
		}
		// Envoy waits for an endpoint message after every change of a cluster, even if
		// the endpoints are the same. So they are new whenever the cluster is.
		eds, err := endpointsOf(in.InferenceRoute, v, name.Cluster(in.Key, v.Name), cluster.Version)
		if err != nil {
			return nil, nil, fmt.Errorf("version %q: %w", v.Name, err)
		}
		clusters = append(clusters, cluster)
		endpoints = append(endpoints, eds)
	}
	covered, err := coveredClusters(in.InferenceRoute)
	if err != nil {
		return nil, nil, fmt.Errorf("protect: %w", err)
	}
	copying, copied, err := copyBackends(in)
	if err != nil {
		return nil, nil, err
	}
	return slices.Concat(clusters, covered, copying), append(endpoints, copied...), nil
}

func clusterOf(r config.InferenceRoute, v config.Version) (Resource, error) {
	id := name.Cluster(r.Key, v.Name)
	c, err := newCluster(r, id, nil)
	if err != nil {
		return Resource{}, err
	}
	c.HealthChecks = []*corepb.HealthCheck{healthCheck(r.Protocol, v.Health)}
	return newResource(id, c)
}

// newCluster is what all clusters of an inference route have.
func newCluster(r config.InferenceRoute, id string, filters []*hcmpb.HttpFilter) (*clusterpb.Cluster, error) {
	protocol, err := upstreamProtocol(r.Protocol, filters)
	if err != nil {
		return nil, err
	}
	return &clusterpb.Cluster{
		Name:                 id,
		ClusterDiscoveryType: &clusterpb.Cluster_Type{Type: clusterpb.Cluster_EDS},
		EdsClusterConfig:     &clusterpb.Cluster_EdsClusterConfig{EdsConfig: overADS()},
		ConnectTimeout:       duration(connectTimeout),
		LbPolicy:             clusterpb.Cluster_LEAST_REQUEST,
		CircuitBreakers:      breakers(),
		// An endpoint that was taken out must not be kept because it is healthy.
		IgnoreHealthOnHostRemoval: true,
		// No healthy endpoint is no answer: a request is never sent to a dead one.
		CommonLbConfig: &clusterpb.Cluster_CommonLbConfig{HealthyPanicThreshold: &typepb.Percent{}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			httpOptions: protocol,
		},
	}, nil
}

// breakers gives live and mirrored requests limits of their own in one cluster:
// routes ask for high priority, and Envoy's mirrored copies always have the
// default one.
func breakers() *clusterpb.CircuitBreakers {
	limit := func(p corepb.RoutingPriority, n uint32) *clusterpb.CircuitBreakers_Thresholds {
		return &clusterpb.CircuitBreakers_Thresholds{
			Priority:           p,
			MaxConnections:     wrapperspb.UInt32(n),
			MaxPendingRequests: wrapperspb.UInt32(n),
			MaxRequests:        wrapperspb.UInt32(n),
		}
	}
	return &clusterpb.CircuitBreakers{Thresholds: []*clusterpb.CircuitBreakers_Thresholds{
		limit(corepb.RoutingPriority_DEFAULT, ShadowLimit),
		limit(corepb.RoutingPriority_HIGH, liveLimit),
	}}
}

func upstreamProtocol(p config.Protocol, filters []*hcmpb.HttpFilter) (*anypb.Any, error) {
	explicit := &httppb.HttpProtocolOptions_ExplicitHttpConfig{}
	switch p {
	case config.ProtocolHTTP, config.ProtocolOpenAI, "":
		// Servers say in trailers what they know only at the end of an answer.
		explicit.ProtocolConfig = &httppb.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
			HttpProtocolOptions: &corepb.Http1ProtocolOptions{EnableTrailers: true},
		}
	case config.ProtocolGRPC:
		explicit.ProtocolConfig = &httppb.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corepb.Http2ProtocolOptions{}}
	default:
		return nil, fmt.Errorf("protocol %q: is none of http, grpc, openai", p)
	}
	return pack(&httppb.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corepb.HttpProtocolOptions{IdleTimeout: duration(idleUpstream)},
		HttpFilters:               filters,
		UpstreamProtocolOptions:   &httppb.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	})
}

// healthCheck asks as often without traffic as with it: a candidate has none
// until it is ready.
func healthCheck(p config.Protocol, h *config.Health) *corepb.HealthCheck {
	interval := defaultInterval
	if h != nil && h.Interval > 0 {
		interval = max(h.Interval.D(), time.Millisecond) // Envoy rounds less to none, and would do nothing else
	}
	check := &corepb.HealthCheck{
		Timeout:            duration(min(interval, time.Second)),
		Interval:           duration(interval),
		NoTrafficInterval:  duration(interval),
		UnhealthyThreshold: wrapperspb.UInt32(2),
		HealthyThreshold:   wrapperspb.UInt32(1),
		HealthChecker:      &corepb.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corepb.HealthCheck_TcpHealthCheck{}},
	}
	if h != nil {
		http := &corepb.HealthCheck_HttpHealthCheck{Path: h.Path}
		if p == config.ProtocolGRPC {
			http.CodecClientType = typepb.CodecClientType_HTTP2
		}
		check.HealthChecker = &corepb.HealthCheck_HttpHealthCheck_{HttpHealthCheck: http}
	}
	return check
}

// overADS says that a resource comes over the one discovery stream.
func overADS() *corepb.ConfigSource {
	return &corepb.ConfigSource{
		ResourceApiVersion:    corepb.ApiVersion_V3,
		ConfigSourceSpecifier: &corepb.ConfigSource_Ads{Ads: &corepb.AggregatedConfigSource{}},
	}
}

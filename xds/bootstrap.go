package xds

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	bootstrappb "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterpb "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointpb "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	metricspb "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	httppb "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherpb "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BootstrapConfig is what an Envoy has to know before it knows anything.
type BootstrapConfig struct {
	// NodeID tells one proxy from all others. Required.
	NodeID string
	// Cluster groups proxies in Envoy's own reports. Default sluice.
	Cluster string
	// XDSAddress is where discovery is served: host:port, or the absolute path of a
	// unix socket. Required.
	XDSAddress string
	// ALSAddresses take access logs and load reports, in the same form. A second
	// one takes over without loss. Default: XDSAddress.
	ALSAddresses []string
	// TapAddress takes bodies of answers to copies, where a policy compares them, in the
	// same form. One, so that all answers to a request meet. Default: the first of
	// ALSAddresses.
	TapAddress string
	// AdminAddress is Envoy's admin interface, in the same form. A socket is made
	// with mode 0600. Required: a proxy is drained through it.
	AdminAddress string
	// StateOfTheWorld asks for whole lists with every change, as old proxies do.
	// Default: increments.
	StateOfTheWorld bool
	// Reconnect bounds how long a proxy waits between two attempts to reach the
	// control plane again. Default 100ms to 500ms; raise it for thousands of proxies.
	Reconnect Backoff
}

// Backoff is a jittered wait that grows from Base to Max.
type Backoff struct{ Base, Max time.Duration }

// Bootstrap gives the JSON that Envoy is started with (`envoy -c FILE`). Equal
// inputs give equal bytes. All mistakes are named at once.
func Bootstrap(c BootstrapConfig) ([]byte, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	xds, errXDS := controlCluster(ClusterXDS, c.XDSAddress)
	als, errALS := controlCluster(ClusterALS, c.ALSAddresses...)
	tap, errTap := tapCluster(c.TapAddress)
	admin, errAdmin := parseAddress(c.AdminAddress)
	if err := errors.Join(errXDS, errALS, errTap, errAdmin); err != nil {
		return nil, err
	}
	if p := admin.GetPipe(); p != nil {
		p.Mode = 0o600
	}
	b := &bootstrappb.Bootstrap{
		Node:             &corepb.Node{Id: c.NodeID, Cluster: c.Cluster},
		Admin:            &bootstrappb.Admin{Address: admin},
		StaticResources:  &bootstrappb.Bootstrap_StaticResources{Clusters: []*clusterpb.Cluster{xds, als, tap}},
		DynamicResources: c.dynamicResources(),
		// Load reports are the count that loses nothing.
		ClusterManager: &bootstrappb.ClusterManager{LoadStatsConfig: &corepb.ApiConfigSource{
			ApiType:             corepb.ApiConfigSource_GRPC,
			TransportApiVersion: corepb.ApiVersion_V3,
			GrpcServices:        []*corepb.GrpcService{overCluster(ClusterALS)},
		}},
		StatsConfig:         &metricspb.StatsConfig{StatsMatcher: keptStats()},
		DeferredStatOptions: &bootstrappb.Bootstrap_DeferredStatOptions{EnableDeferredCreationStats: true},
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("bootstrap: envoy refuses it: %w", err)
	}
	text, err := stableJSON(b)
	if err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	return text, nil
}

func (c *BootstrapConfig) setDefaults() error {
	var errs []error
	for _, required := range []struct{ field, value string }{{"NodeID", c.NodeID}, {"XDSAddress", c.XDSAddress}, {"AdminAddress", c.AdminAddress}} {
		if required.value == "" {
			errs = append(errs, fmt.Errorf("bootstrap: %s: is empty", required.field))
		}
	}
	if c.Cluster == "" {
		c.Cluster = "sluice"
	}
	if len(c.ALSAddresses) == 0 {
		c.ALSAddresses = []string{c.XDSAddress}
	}
	if c.TapAddress == "" {
		c.TapAddress = c.ALSAddresses[0]
	}
	if c.Reconnect.Base == 0 {
		c.Reconnect.Base = 100 * time.Millisecond
	}
	if c.Reconnect.Max == 0 {
		c.Reconnect.Max = max(500*time.Millisecond, c.Reconnect.Base)
	}
	return errors.Join(errs...)
}

func (c *BootstrapConfig) dynamicResources() *bootstrappb.Bootstrap_DynamicResources {
	api := corepb.ApiConfigSource_DELTA_GRPC
	if c.StateOfTheWorld {
		api = corepb.ApiConfigSource_GRPC
	}
	service := overCluster(ClusterXDS)
	service.GetEnvoyGrpc().RetryPolicy = &corepb.RetryPolicy{RetryBackOff: &corepb.BackoffStrategy{
		BaseInterval: duration(c.Reconnect.Base),
		MaxInterval:  duration(c.Reconnect.Max),
	}}
	return &bootstrappb.Bootstrap_DynamicResources{
		LdsConfig: overADS(),
		CdsConfig: overADS(),
		AdsConfig: &corepb.ApiConfigSource{
			ApiType:                   api,
			TransportApiVersion:       corepb.ApiVersion_V3,
			SetNodeOnFirstMessageOnly: true,
			GrpcServices:              []*corepb.GrpcService{service},
		},
	}
}

func overCluster(cluster string) *corepb.GrpcService {
	return &corepb.GrpcService{TargetSpecifier: &corepb.GrpcService_EnvoyGrpc_{
		EnvoyGrpc: &corepb.GrpcService_EnvoyGrpc{ClusterName: cluster},
	}}
}

// controlCluster is a static cluster for a part of the control plane. It speaks
// HTTP/2 and notices a peer that is gone without a word.
func controlCluster(id string, addresses ...string) (*clusterpb.Cluster, error) {
	c := &clusterpb.Cluster{
		Name:                 id,
		ConnectTimeout:       duration(connectTimeout),
		ClusterDiscoveryType: &clusterpb.Cluster_Type{Type: clusterpb.Cluster_STATIC},
	}
	var hosts []*endpointpb.LbEndpoint
	for _, s := range addresses {
		address, err := parseAddress(s)
		if err != nil {
			return nil, err
		}
		if a := address.GetSocketAddress(); a != nil && !isIP(a.GetAddress()) {
			c.ClusterDiscoveryType = &clusterpb.Cluster_Type{Type: clusterpb.Cluster_STRICT_DNS}
		}
		hosts = append(hosts, &endpointpb.LbEndpoint{HostIdentifier: &endpointpb.LbEndpoint_Endpoint{Endpoint: &endpointpb.Endpoint{Address: address}}})
	}
	c.LoadAssignment = &endpointpb.ClusterLoadAssignment{
		ClusterName: id,
		Endpoints:   []*endpointpb.LocalityLbEndpoints{{LbEndpoints: hosts}},
	}
	protocol, err := pack(&httppb.HttpProtocolOptions{UpstreamProtocolOptions: &httppb.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httppb.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httppb.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corepb.Http2ProtocolOptions{
				ConnectionKeepalive: &corepb.KeepaliveSettings{Interval: duration(10 * time.Second), Timeout: duration(5 * time.Second)},
			}},
		},
	}})
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: protocol}
	return c, err
}

// tapLimit is how many answers a proxy shows at once. Those of others are not read: of one
// who reads and hangs, no more is kept.
const tapLimit = 256

func tapCluster(address string) (*clusterpb.Cluster, error) {
	c, err := controlCluster(ClusterTap, address)
	if err != nil {
		return nil, err
	}
	c.CircuitBreakers = &clusterpb.CircuitBreakers{Thresholds: []*clusterpb.CircuitBreakers_Thresholds{
		{MaxRequests: wrapperspb.UInt32(tapLimit)},
	}}
	return c, nil
}

func isIP(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

func parseAddress(s string) (*corepb.Address, error) {
	if strings.HasPrefix(s, "/") {
		return pipe(s), nil
	}
	colon := strings.LastIndexByte(s, ':')
	if colon <= 0 {
		return nil, fmt.Errorf("bootstrap: address %q: is neither host:port nor an absolute path", s)
	}
	host, port := strings.Trim(s[:colon], "[]"), s[colon+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("bootstrap: address %q: port %q is not in 1 to 65535", s, port)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	return socketAddress(host, uint32(n)), nil
}

// keptStats is what Sluice and the people who run it read. Half of what a
// cluster costs a proxy is the other stats.
func keptStats() *metricspb.StatsMatcher {
	list := &matcherpb.ListStringMatcher{}
	for _, prefix := range []string{"access_logs.", "cluster_manager.", "control_plane.", "http.", "listener.", "listener_manager.", "server."} {
		list.Patterns = append(list.Patterns, &matcherpb.StringMatcher{MatchPattern: &matcherpb.StringMatcher_Prefix{Prefix: prefix}})
	}
	for _, suffix := range []string{
		"membership_healthy", "membership_total", "lb_healthy_panic", "upstream_cx_active", "upstream_cx_connect_fail", "upstream_cx_none_healthy",
		"upstream_rq_active", "upstream_rq_pending_overflow", "upstream_rq_timeout", "upstream_rq_total", "update_rejected", "warming_state",
	} {
		list.Patterns = append(list.Patterns, &matcherpb.StringMatcher{MatchPattern: &matcherpb.StringMatcher_Suffix{Suffix: "." + suffix}})
	}
	return &metricspb.StatsMatcher{StatsMatcher: &metricspb.StatsMatcher_InclusionList{InclusionList: list}}
}

package xds

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointpb "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/sluice-dev/sluice/config"
)

// endpointsOf lists where a version answers. Envoy takes addresses only, so a
// hostname is refused here: who delivers a config may resolve it. The one
// exception is localhost, which is 127.0.0.1.
func endpointsOf(r config.InferenceRoute, v config.Version, id, clusterVersion string) (Resource, error) {
	var hosts []*endpointpb.LbEndpoint
	for i, e := range v.Endpoints {
		address, err := parseEndpoint(e)
		if err != nil {
			return Resource{}, fmt.Errorf("endpoints[%d]: %w", i, err)
		}
		hosts = append(hosts, &endpointpb.LbEndpoint{HostIdentifier: &endpointpb.LbEndpoint_Endpoint{
			Endpoint: &endpointpb.Endpoint{
				Address: address,
				// Envoy's default is the cluster's name, which is no valid hostname.
				HealthCheckConfig: &endpointpb.Endpoint_HealthCheckConfig{Hostname: e},
			},
		}})
	}
	eds := &endpointpb.ClusterLoadAssignment{
		ClusterName: id,
		Endpoints:   []*endpointpb.LocalityLbEndpoints{{LbEndpoints: hosts}},
	}
	if r.Protect.RetryOnStable != nil {
		coverEndpoints(eds, v.Name)
	}
	return newResource(id, eds, []byte(clusterVersion)...)
}

func parseEndpoint(s string) (*corepb.Address, error) {
	if rest, ok := strings.CutPrefix(s, "localhost:"); ok {
		s = "127.0.0.1:" + rest
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, fmt.Errorf("%q: is not an IP address (or localhost) and a port", s)
	}
	if ap.Port() == 0 {
		return nil, fmt.Errorf("%q: port 0 cannot be connected to", s)
	}
	return socketAddress(ap.Addr().String(), uint32(ap.Port())), nil
}

func socketAddress(host string, port uint32) *corepb.Address {
	return &corepb.Address{Address: &corepb.Address_SocketAddress{SocketAddress: &corepb.SocketAddress{
		Address:       host,
		PortSpecifier: &corepb.SocketAddress_PortValue{PortValue: port},
	}}}
}

func pipe(path string) *corepb.Address {
	return &corepb.Address{Address: &corepb.Address_Pipe{Pipe: &corepb.Pipe{Path: path}}}
}

// tableName is short: it is sent twice with every change of a weight.
func tableName(port uint32, host string) string { return host + ":" + strconv.Itoa(int(port)) }

// ListenerName names the one Listener of a port.
func ListenerName(port uint32) string { return "sluice-" + strconv.Itoa(int(port)) }

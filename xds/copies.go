package xds

import (
	"fmt"
	"strconv"
	"time"

	mutationpb "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	procpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	codecpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherpb "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// lingering is how long Envoy waits for who reads a body to take the rest of it.
const lingering = time.Second

// answersOf is the metric that compares answers: of the policy in force, or else of the
// one that is configured. It compares nothing where there is none.
func answersOf(cfg *config.Config, r config.InferenceRoute) config.Metric {
	if r.Answers != nil {
		return *r.Answers
	}
	if r.Strategy.Canary == nil && r.Strategy.Shadow == nil {
		return config.Metric{}
	}
	policy, _ := cfg.Policy(config.Key{Namespace: r.Namespace, Name: r.Analysis.Policy})
	m, _ := policy.Answers()
	return m
}

// bodies says whether bodies of answers to copies are read. Then those go to clusters of
// their own, so that no live answer is.
func (in intent) bodies() bool { return in.answers.Compare != nil && in.answers.Compare.By.Bodies() }

// reads says whether those of the present split are. A split that copies to the
// candidate alone is no comparison.
func (in intent) reads() bool { return in.bodies() && in.split.Repeat.Weight > 0 }

// copied names the cluster that copies for a version go to.
func (in intent) copied(version string) string {
	if in.reads() {
		return name.Copies(in.Key, version)
	}
	return name.Cluster(in.Key, version)
}

// mirrors copy requests: to the shadow, and, of the same requests, to who serves them.
// Envoy draws once per request: policies of equal fractions copy the same ones.
func mirrors(in intent) (all []*routepb.RouteAction_RequestMirrorPolicy) {
	if m := in.split.Mirror; m.Weight > 0 {
		all = append(all, mirror(in, m, 1))
	}
	if m := in.split.Repeat; m.Weight > 0 {
		for i := range max(1, in.answers.Copies()) {
			all = append(all, mirror(in, m, i+1))
		}
	}
	return all
}

// copyMutations tell copies of one request to one version apart, and ask for an answer
// that is not compressed.
func copyMutations(number int) []*mutationpb.HeaderMutation {
	return []*mutationpb.HeaderMutation{
		{Action: &mutationpb.HeaderMutation_Append{Append: overwrite(name.HeaderCopy, strconv.Itoa(number))}},
		{Action: &mutationpb.HeaderMutation_Remove{Remove: "accept-encoding"}},
	}
}

// copyBackends are a cluster and an endpoint list per version, for copies whose answers
// are read.
func copyBackends(in intent) (clusters, endpoints []Resource, err error) {
	if !in.bodies() {
		return nil, nil, nil
	}
	for _, v := range in.Versions {
		cluster, err := copyCluster(in.InferenceRoute, v.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("version %q: copies: %w", v.Name, err)
		}
		plain := in.InferenceRoute
		plain.Protect = config.Protect{} // a copy is spared nothing
		eds, err := endpointsOf(plain, v, name.Copies(in.Key, v.Name), cluster.Version)
		if err != nil {
			return nil, nil, fmt.Errorf("version %q: %w", v.Name, err)
		}
		clusters, endpoints = append(clusters, cluster), append(endpoints, eds)
	}
	return clusters, endpoints, nil
}

// copyCluster shows the answers that come through it to the control plane, which nobody
// waits for. It checks no health: that of the version's own cluster is known.
func copyCluster(r config.InferenceRoute, version string) (Resource, error) {
	id := name.Copies(r.Key, version)
	filters, err := readers(id)
	if err != nil {
		return Resource{}, err
	}
	c, err := newCluster(r, id, filters)
	if err != nil {
		return Resource{}, err
	}
	return newResource(id, c)
}

// readers are the filters of a cluster whose answers are read.
func readers(cluster string) ([]*hcmpb.HttpFilter, error) {
	service := overCluster(ClusterTap)
	service.InitialMetadata = []*corepb.HeaderValue{{Key: name.MetadataCluster, Value: cluster}}
	reader, err := pack(&procpb.ExternalProcessor{
		GrpcService:       service,
		ObservabilityMode: true, // nothing waits for it
		FailureModeAllow:  true, // without it, a copy is answered as ever
		// Nothing else of the request is told, and of the answer's headers the status.
		ResponseAttributes: []string{name.AttributeID, name.AttributeShadow, name.AttributeCopy},
		ForwardRules: &procpb.HeaderForwardingRules{AllowedHeaders: &matcherpb.ListStringMatcher{Patterns: []*matcherpb.StringMatcher{
			{MatchPattern: &matcherpb.StringMatcher_Exact{Exact: ":status"}},
		}}},
		// The stream is closed by who reads it, as soon as the answer has ended.
		DeferredCloseTimeout: duration(lingering),
		ProcessingMode: &procpb.ProcessingMode{
			RequestHeaderMode:   procpb.ProcessingMode_SKIP, // nothing is told before the answer comes
			ResponseHeaderMode:  procpb.ProcessingMode_SEND,
			RequestBodyMode:     procpb.ProcessingMode_NONE,
			ResponseBodyMode:    procpb.ProcessingMode_STREAMED,
			RequestTrailerMode:  procpb.ProcessingMode_SKIP,
			ResponseTrailerMode: procpb.ProcessingMode_SEND, // an end, where there are some
		},
	})
	if err != nil {
		return nil, err
	}
	codec, err := pack(&codecpb.UpstreamCodec{})
	if err != nil {
		return nil, err
	}
	return []*hcmpb.HttpFilter{
		{Name: "envoy.filters.http.ext_proc", ConfigType: &hcmpb.HttpFilter_TypedConfig{TypedConfig: reader}},
		{Name: "envoy.filters.http.upstream_codec", ConfigType: &hcmpb.HttpFilter_TypedConfig{TypedConfig: codec}},
	}, nil
}

package xds

import (
	"time"

	accesslogpb "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	mutationpb "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerpb "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	metadatapb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	luapb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	routerpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlypb "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/xds/name"
)

const headersTimeout = 10 * time.Second

// listener accepts the requests of one port. It depends on nothing of the routes
// but what listenerInput holds; tables are sorted.
func (p port) listener(tables []string) (Resource, error) {
	manager, err := p.connectionManager()
	if err != nil {
		return Resource{}, err
	}
	filter, err := pack(manager)
	if err != nil {
		return Resource{}, err
	}
	listener := &listenerpb.Listener{
		Name:    ListenerName(p.number),
		Address: socketAddress(p.routes[0].Listener.Address, p.number),
		// With it two Envoys that were given the same port would share its users
		// without a word; without it the second is refused, and says so.
		EnableReusePort: wrapperspb.Bool(false),
		FilterChains: []*listenerpb.FilterChain{{Filters: []*listenerpb.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerpb.Filter_TypedConfig{TypedConfig: filter},
		}}}},
	}
	if p.models() {
		listener.PerConnectionBufferLimitBytes = wrapperspb.UInt32(modelBody)
	}
	r, err := newResource(ListenerName(p.number), listener)
	for _, table := range tables {
		r.Needs = append(r.Needs, Ref{TypeRoute, table})
	}
	return r, err
}

func (p port) connectionManager() (*hcmpb.HttpConnectionManager, error) {
	logs, err := accessLogs()
	if err != nil {
		return nil, err
	}
	filters, err := p.httpFilters(logs)
	if err != nil {
		return nil, err
	}
	early, err := p.earlyMutation()
	if err != nil {
		return nil, err
	}
	m := &hcmpb.HttpConnectionManager{
		StatPrefix:                    ListenerName(p.number),
		AccessLog:                     logs,
		StripPortMode:                 &hcmpb.HttpConnectionManager_StripAnyHostPort{StripAnyHostPort: true},
		NormalizePath:                 wrapperspb.Bool(true),
		MergeSlashes:                  true,
		UseRemoteAddress:              wrapperspb.Bool(true),
		StreamIdleTimeout:             duration(streamIdle),
		RequestHeadersTimeout:         duration(headersTimeout),
		EarlyHeaderMutationExtensions: []*corepb.TypedExtensionConfig{early},
		// Attempts, retries and mirrored copies are joined by request id, so Envoy makes
		// its own, one per request, and says which.
		GenerateRequestId:            wrapperspb.Bool(true),
		AlwaysSetRequestIdInResponse: true,
		HttpFilters:                  filters,
	}
	p.chooseTable(m)
	return m, nil
}

func (p port) httpFilters(logs []*accesslogpb.AccessLog) ([]*hcmpb.HttpFilter, error) {
	var filters []*hcmpb.HttpFilter
	add := func(name string, m message) error {
		config, err := pack(m)
		filters = append(filters, &hcmpb.HttpFilter{Name: name, ConfigType: &hcmpb.HttpFilter_TypedConfig{TypedConfig: config}})
		return err
	}
	if p.scoped {
		if err := add("envoy.filters.http.lua", &luapb.Lua{DefaultSourceCode: inline(lowerScope)}); err != nil {
			return nil, err
		}
	}
	if p.models() {
		if err := add("envoy.filters.http.json_to_metadata", modelReader()); err != nil {
			return nil, err
		}
	}
	if p.cookies() {
		if err := add(unitReader, &metadatapb.Config{}); err != nil {
			return nil, err
		}
	}
	err := add("envoy.filters.http.router", &routerpb.Router{
		UpstreamLog: logs, UpstreamLogOptions: &routerpb.Router_UpstreamAccessLogOptions{UpstreamLogFlushInterval: duration(runningFlush)},
	})
	return filters, err
}

func inline(s string) *corepb.DataSource {
	return &corepb.DataSource{Specifier: &corepb.DataSource_InlineString{InlineString: s}}
}

// chooseTable leads requests to a table: by scope, or to the only one.
func (p port) chooseTable(m *hcmpb.HttpConnectionManager) {
	if !p.scoped {
		m.RouteSpecifier = &hcmpb.HttpConnectionManager_Rds{Rds: &hcmpb.Rds{
			ConfigSource:    overADS(),
			RouteConfigName: tableName(p.number, "*"),
		}}
		return
	}
	m.RouteSpecifier = &hcmpb.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcmpb.ScopedRoutes{
		Name: ListenerName(p.number),
		ScopeKeyBuilder: &hcmpb.ScopedRoutes_ScopeKeyBuilder{Fragments: []*hcmpb.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{{
			Type: &hcmpb.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
				HeaderValueExtractor: &hcmpb.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
					Name:        headerScope,
					ExtractType: &hcmpb.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{},
				},
			},
		}}},
		RdsConfigSource: overADS(),
		ConfigSpecifier: &hcmpb.ScopedRoutes_ScopedRds{ScopedRds: &hcmpb.ScopedRds{ScopedRdsConfigSource: overADS()}},
	}}
}

// earlyMutation takes away stamps that clients must not set, and adds the scope.
func (p port) earlyMutation() (*corepb.TypedExtensionConfig, error) {
	mutations := []*mutationpb.HeaderMutation{
		{Action: &mutationpb.HeaderMutation_Remove{Remove: name.HeaderShadow}},
		{Action: &mutationpb.HeaderMutation_Remove{Remove: name.HeaderArm}},
		{Action: &mutationpb.HeaderMutation_Remove{Remove: name.HeaderSegment}},
		{Action: &mutationpb.HeaderMutation_Remove{Remove: name.HeaderUnit}},
	}
	if p.scoped {
		mutations = append(mutations, &mutationpb.HeaderMutation{Action: &mutationpb.HeaderMutation_Append{
			Append: overwrite(headerScope, scopeKey(p.number, authority)),
		}})
	}
	config, err := pack(&earlypb.HeaderMutation{Mutations: mutations})
	return &corepb.TypedExtensionConfig{Name: "sluice.stamps", TypedConfig: config}, err
}

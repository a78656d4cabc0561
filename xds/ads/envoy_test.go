package ads_test

import (
	"testing/synctest"

	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/xds"
)

// obey does what Envoy does with whatever comes, until nothing does: it takes it,
// but for listeners that it cannot open, and asks for the tables of scopes.
func (p *proxy) obey(refused map[string]string) {
	p.s.t.Helper()
	for range 30 {
		synctest.Wait()
		for _, r := range p.inboxNow() {
			p.obeyOne(r, refused)
		}
	}
	require.Empty(p.s.t, p.heard(), "it never ends")
}

func (p *proxy) obeyOne(r *discoverypb.DeltaDiscoveryResponse, refused map[string]string) {
	p.s.t.Helper()
	p.hold(r)
	text := ""
	for _, res := range r.GetResources() {
		kind := short(xds.Ref{Type: xds.Type(r.GetTypeUrl())})
		if why := refused[res.GetName()]; why != "" {
			text = why
			delete(p.holds, kind+res.GetName())
			continue
		}
		if p.versions[xds.Type(r.GetTypeUrl())] == nil {
			p.versions[xds.Type(r.GetTypeUrl())] = map[string]string{}
		}
		p.versions[xds.Type(r.GetTypeUrl())][res.GetName()] = res.GetVersion()
		p.bodies[res.GetName()] = string(res.GetResource().GetValue())
		p.load(res)
	}
	if text != "" {
		p.nack(r, text)
		return
	}
	p.ack(r)
}

// load asks for the table that a scope leads to.
func (p *proxy) load(r *discoverypb.Resource) {
	p.s.t.Helper()
	var scope routepb.ScopedRouteConfiguration
	if r.GetResource().UnmarshalTo(&scope) != nil || p.asked[scope.GetRouteConfigurationName()] {
		return
	}
	p.asked[scope.GetRouteConfigurationName()] = true
	p.subscribe(xds.TypeRoute, scope.GetRouteConfigurationName())
}

func (p *proxy) inboxNow() []*discoverypb.DeltaDiscoveryResponse {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.inbox
	p.inbox = nil
	return list
}

func (p *proxy) hold(r *discoverypb.DeltaDiscoveryResponse) {
	kind := short(xds.Ref{Type: xds.Type(r.GetTypeUrl())})
	for _, res := range r.GetResources() {
		p.holds[kind+res.GetName()] = true
	}
	for _, n := range r.GetRemovedResources() {
		delete(p.holds, kind+n)
	}
}

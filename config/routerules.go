package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func (c *checker) route(s RouteSpec) {
	c.hostnames(s.Hostnames)
	c.listener(s.Listener)
	oneOf(c, "spec.protocol", s.Protocol, ProtocolHTTP, ProtocolGRPC, ProtocolOpenAI)
	c.matches(s)
	c.positive("spec.timeouts.request", s.Timeouts.Request)
	c.versions(s.Versions)
	oneOf(c, "spec.mirroring", s.Mirroring, MirroringForbidden, MirroringAllowed)
	c.stickiness(s.Stickiness)
	c.overrides(s)
	c.strategy(s)
	c.protect(s)
}

func (c *checker) hostnames(names []string) {
	for i, name := range names {
		path := at("spec.hostnames", i)
		if fact := hostnameFact(name); fact != "" {
			c.refuse(path, fact, name)
		} else if first := slices.Index(names, name); first < i {
			c.refuse(path, "is written twice: first as "+at("spec.hostnames", first), name)
		}
	}
}

// hostnameFact says what is wrong with a hostname, or "". It is Gateway API's
// precise hostname: RFC 1123, in lower case, not an IP address.
func hostnameFact(name string) string {
	_, notAddress := netip.ParseAddr(name)
	switch {
	case strings.Contains(name, "*"):
		return "holds a wildcard, which is not supported: list the hostnames, or leave them all out to match every one"
	case notAddress == nil:
		return "is an IP address, not a hostname: leave hostnames out to match every authority"
	case strings.Contains(name, ":"):
		return "holds a port: a hostname has none, spec.listener.port does"
	case strings.ToLower(name) != name:
		return "is not in lower case"
	case len(name) > 253:
		return "is longer than 253 characters"
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return "is not a hostname: DNS labels with dots between them"
		}
	}
	return ""
}

func (c *checker) listener(l Listener) {
	if l.Port < 1 || l.Port > 65535 {
		c.refuse("spec.listener.port", "is not from 1 to 65535", l.Port)
	}
	address, err := netip.ParseAddr(l.Address)
	switch {
	case err != nil || address.Zone() != "":
		c.refuse("spec.listener.address", "is not an IP address", l.Address)
	case address.Unmap().String() != l.Address:
		c.refuse("spec.listener.address", "is not in its shortest form: write "+address.Unmap().String(), l.Address)
	}
}

// listeners refuses one port on two addresses: a port is one listener of Envoy's.
func (all checks) listeners(routes []InferenceRoute) {
	for i, r := range routes {
		for j, earlier := range routes[:i] {
			same := earlier.Listener.Port == r.Listener.Port
			if !same || earlier.Listener == r.Listener || !all.sound(i, j, "spec.listener") {
				continue
			}
			all.routes[i].refuse("spec.listener", fmt.Sprintf(
				"opens the port of inference route %s on another address than %s: give both the same address, or ports of their own",
				earlier.Key, earlier.Listener.Address), raw(r.Listener.String()))
			break
		}
	}
}

// String gives "127.0.0.1:8080".
func (l Listener) String() string {
	address, err := netip.ParseAddr(l.Address)
	if err != nil {
		return fmt.Sprintf("%s:%d", l.Address, l.Port)
	}
	return netip.AddrPortFrom(address, uint16(l.Port)).String()
}

// sound says whether some fields of two inference routes are free of mistakes.
func (all checks) sound(i, j int, paths ...string) bool {
	return all.routes[i].sound(paths...) && all.routes[j].sound(paths...)
}

// policyExists refuses the name of a policy that nobody wrote.
func (all checks) policyExists(config *Config, i int) {
	r, c := config.Routes[i], all.routes[i]
	key := Key{Namespace: r.Namespace, Name: r.Analysis.Policy}
	policy, ok := config.Policy(key)
	if ok {
		c.compares(r, policy)
	}
	if ok || r.Analysis.Policy == "" || !c.sound("metadata.namespace") {
		return
	}
	names := []string{DefaultPolicy}
	for _, p := range config.Policies {
		if p.Namespace == r.Namespace {
			names = append(names, p.Name)
		}
	}
	c.refuse("spec.analysis.policy", fmt.Sprintf("names no policy of namespace %s: there are %s",
		r.Namespace, strings.Join(names, ", ")), r.Analysis.Policy)
}

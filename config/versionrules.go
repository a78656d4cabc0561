package config

import (
	"net/netip"
	"slices"
	"strings"
)

func (c *checker) versions(versions []Version) {
	if len(versions) == 0 {
		c.lacks("spec.versions", "is empty: there is nothing to route to")
	}
	names, endpoints := map[string]string{}, map[string]string{}
	for i, v := range versions {
		path := at("spec.versions", i)
		c.label(path+".name", v.Name)
		if first, taken := names[v.Name]; taken {
			c.refuse(path+".name", "is the name of another version too: "+first, v.Name)
		}
		names[v.Name] = path
		c.endpoints(path, v, endpoints)
		c.health(path+".health", v.Health)
		c.model(path+".model", v.Model)
	}
}

// endpoints checks those of one version; owners holds those seen so far, by
// where they were written.
func (c *checker) endpoints(version string, v Version, owners map[string]string) {
	if len(v.Endpoints) == 0 {
		c.lacks(version+".endpoints", "is empty: a version without a pod can answer nothing")
	}
	for i, endpoint := range v.Endpoints {
		path := at(version+".endpoints", i)
		if fact := endpointFact(endpoint); fact != "" {
			c.refuse(path, fact, endpoint)
			continue
		}
		switch owner, taken := owners[endpoint]; {
		case !taken:
			owners[endpoint] = path
		case within(owner, version):
			c.refuse(path, "is written twice: first as "+owner, endpoint)
		default:
			c.refuse(path, "is an endpoint of another version too, "+owner+
				": what one pod does could not be told apart by version", endpoint)
		}
	}
}

// endpointFact says what is wrong with an endpoint, or "".
func endpointFact(endpoint string) string {
	pair, err := netip.ParseAddrPort(endpoint)
	switch {
	case err == nil && pair.Port() == 0:
		return "has port 0"
	case err == nil && pair.Addr().IsUnspecified():
		return "is every address, not one"
	case err == nil && (pair.Addr().Zone() != "" || pair.String() != endpoint || pair.Addr().Is4In6()):
		return "is not the shortest form of an address and a port, such as 127.0.0.1:8000 or [::1]:8000"
	case err == nil:
		return ""
	}
	host, port, ok := strings.Cut(endpoint, ":")
	switch {
	case ok && host == "localhost" && port != "":
		return "is a name, not an IP address: write 127.0.0.1:" + port
	case ok && hostnameFact(host) == "" && port != "" && isDigits(port):
		return "is a name, not an IP address: a name may stand for several pods, which could not be told apart"
	}
	return "is not an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000"
}

func (c *checker) health(path string, h *Health) {
	if h == nil {
		return
	}
	if !strings.HasPrefix(h.Path, "/") || !isVisible(h.Path) {
		c.refuse(path+".path", "is not a path such as /v2/health/ready", h.Path)
	}
	c.positive(path+".interval", h.Interval)
}

func (c *checker) model(path string, m *Model) {
	if m == nil {
		return
	}
	if *m == (Model{}) {
		c.lacks(path, "says nothing: give name, version or digest, or leave it out")
	}
	digits, ok := strings.CutPrefix(m.Digest, "sha256:")
	if m.Digest != "" && (!ok || len(digits) != 64 || strings.Trim(digits, "0123456789abcdef") != "") {
		c.refuse(path+".digest", "is not sha256:<64 hex digits in lower case>", m.Digest)
	}
}

// isVisible says whether text is printable ASCII without spaces.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// versionNames lists what a route's versions are called.
func versionNames(versions []Version) []string {
	names := make([]string, len(versions))
	for i, v := range versions {
		names[i] = v.Name
	}
	return names
}

// namesVersion refuses a name that no version has.
func (c *checker) namesVersion(path, name string, versions []Version) {
	names := versionNames(versions)
	if slices.Contains(names, name) || !c.knowsVersions(versions) {
		return
	}
	c.refuse(path, "names no version: there are "+strings.Join(names, ", "), name)
}

// knowsVersions says whether every version's name could be read, good or not.
func (c *checker) knowsVersions(versions []Version) bool {
	for i := range versions {
		if !c.readable(at("spec.versions", i) + ".name") {
			return false
		}
	}
	return len(versions) > 0
}

package config

import (
	"fmt"
	"strings"
)

// Override gives requests of testers to a version of their choice, whatever the
// split says. Such requests are no evidence, are not mirrored and wait for no step;
// anybody who can write the header or the cookie is a tester. Only while a proxy's
// access logs are away, and load reports stand in for them, their errors count with
// the others: those know clusters and no requests. An override has exactly one of
// header and cookie.
type Override struct {
	Header *HeaderMatch `json:"header,omitempty"`
	Cookie *CookieMatch `json:"cookie,omitempty"`
	// Version need not be stable or in a rollout.
	Version string `json:"version"`
}

// CookieMatch selects requests by the exact value of a cookie.
type CookieMatch struct {
	Name  string `json:"name"`  // of the cookie
	Value string `json:"value"` // of the cookie, whole
}

func (c *checker) overrides(s RouteSpec) {
	for i, o := range s.Overrides {
		path := at("spec.overrides", i)
		c.namesVersion(path+".version", o.Version, s.Versions)
		switch {
		case o.Header != nil && o.Cookie != nil:
			c.refusef(path, "has both header and cookie: give exactly one")
		case o.Header != nil:
			c.overrideHeader(path+".header", *o.Header)
		case o.Cookie != nil:
			c.cookieMatch(path+".cookie", *o.Cookie)
		default:
			c.lacks(path, "has neither header nor cookie: every request would be a tester's")
		}
		c.overriddenBefore(path, i, s.Overrides)
	}
}

func (c *checker) overrideHeader(path string, m HeaderMatch) {
	if isStamp(m.Name) {
		c.refuse(path+".name", "is one of Sluice's own, which clients cannot set", m.Name)
		return
	}
	c.headerMatch(path, m)
}

func (c *checker) cookieMatch(path string, m CookieMatch) {
	if !isToken(m.Name) {
		c.refuse(path+".name", "is not the name of a cookie", m.Name)
	}
	switch {
	case m.Value == "":
		c.refusef(path+".value", "is empty: it would match nothing")
	case strings.ContainsAny(m.Value, ` ";,\`) || !isVisible(m.Value):
		c.refuse(path+".value", "holds what no cookie's value can: space, one of \",;\\, or what is not printable ASCII", m.Value)
	}
}

// overriddenBefore refuses what an earlier override leaves nothing to.
func (c *checker) overriddenBefore(path string, i int, overrides []Override) {
	for j, earlier := range overrides[:i] {
		first := at("spec.overrides", j)
		if earlier.selects() == overrides[i].selects() && c.sound(path+".header", path+".cookie", first+".header", first+".cookie") {
			c.refusef(path, "selects the same requests as %s, which comes first", first)
			return
		}
	}
}

// selects writes what an override matches, so that equal texts match equal
// requests.
func (o Override) selects() string {
	switch {
	case o.Header != nil:
		return fmt.Sprintf("header %q %s %q", strings.ToLower(o.Header.Name), o.Header.Type, o.Header.Value)
	case o.Cookie != nil:
		return fmt.Sprintf("cookie %q %q", o.Cookie.Name, o.Cookie.Value)
	}
	return ""
}

package config

import (
	"strings"
	"time"
)

const stickinessPath = "spec.stickiness"

func (c *checker) stickiness(s *Stickiness) {
	if s == nil {
		return
	}
	switch n := s.given(); {
	case n > 1:
		c.refusef(stickinessPath, "has more than one of header, cookie and clientAddress: give exactly one")
	case n == 0:
		c.lacks(stickinessPath, "has none of header, cookie and clientAddress: leave it out to draw every request by itself")
	case s.Cookie != nil:
		c.unitCookie(stickinessPath+".cookie", *s.Cookie)
	case s.Header != "":
		c.unitHeader(stickinessPath+".header", s.Header)
	}
}

// given counts what was written.
func (s Stickiness) given() (n int) {
	for _, written := range []bool{s.Header != "", s.Cookie != nil, s.ClientAddress != nil} {
		if written {
			n++
		}
	}
	return n
}

// unitHeader refuses what holds no unit.
func (c *checker) unitHeader(path, name string) {
	switch {
	case !isToken(name):
		c.refuse(path, "is not the name of a header", name)
	case strings.EqualFold(name, "host"):
		c.refuse(path, "is the same for every request of a hostname: name one that holds a user or a session", name)
	case strings.EqualFold(name, "x-request-id"):
		c.refuse(path, "is new for every request: name one that holds a user or a session", name)
	case isStamp(name):
		c.refuse(path, "is one of Sluice's own, which clients cannot set", name)
	}
}

// isStamp says whether a header is one that the proxies write themselves.
func isStamp(name string) bool {
	name = strings.ToLower(name)
	return name == "x-sluice" || strings.HasPrefix(name, "x-sluice-")
}

func (c *checker) unitCookie(path string, u UnitCookie) {
	if !isToken(u.Name) {
		c.refuse(path+".name", "is not the name of a cookie", u.Name)
	}
	_, written := c.lines[path+".ttl"]
	switch {
	case written && u.TTL == 0:
		c.refuse(path+".ttl", "is no time at all: leave it out for a cookie that lasts as long as the client's session", u.TTL)
	case u.TTL%Duration(time.Second) != 0:
		c.refuse(path+".ttl", "is not whole seconds, which a cookie counts", u.TTL)
	default:
		c.notNegative(path+".ttl", u.TTL)
	}
}

// adviseStickiness says what sticky units do to the evidence.
func (c *checker) adviseStickiness(s RouteSpec) {
	if s.Stickiness == nil {
		return
	}
	if s.Strategy.Canary != nil {
		c.refusef(stickinessPath, "makes units what is drawn, so each counts once: with its first failure against a version, and with its first "+
			"request for one; it takes as many units to promote as it would take requests, and latencies are not compared before "+
			"each arm has had those of 30 units")
	}
	if s.Stickiness.ClientAddress != nil {
		c.refusef(stickinessPath+".clientAddress", "is the same for all who come through one load balancer or NAT: "+
			"where such stands before Envoy, few units send all the traffic")
	}
	if s.Protocol == ProtocolGRPC && s.Stickiness.Cookie != nil {
		c.refusef(stickinessPath+".cookie", "is kept by few gRPC clients, and whoever keeps none is drawn by itself: name a header instead")
	}
}

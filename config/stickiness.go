package config

// Stickiness keeps a unit, such as a user, with one version for as long as the
// split lets it: a growing share only moves units from stable to the candidate, a
// shrinking one moves the last of them back, and every proxy agrees, also after a
// restart. It is exactly one of its fields.
//
// Units are hashed to the split's intervals, so the share of units is near the
// share of the split and no better than that, and the share of requests is what
// those units send.
type Stickiness struct {
	// Header holds the unit, as x-user-id does. A request without it is drawn by
	// itself.
	Header string `json:"header,omitempty"`
	// Cookie holds the unit. Envoy gives one to a client that has none.
	Cookie *UnitCookie `json:"cookie,omitempty"`
	// ClientAddress, written as {}, makes each client's IP address a unit: that of its
	// connection to Envoy.
	ClientAddress *ClientAddress `json:"clientAddress,omitempty"`
}

// ClientAddress is the IP address that a client connects from. Behind a load
// balancer or a NAT it is that of many users, who all stay together.
type ClientAddress struct{}

// UnitCookie is a cookie that holds a unit and not a version, so that a client
// keeps it from one rollout to the next.
type UnitCookie struct {
	Name string `json:"name"` // of the cookie
	// TTL is how long a client keeps the cookie, in whole seconds. Default: until the
	// client's session ends.
	TTL Duration `json:"ttl,omitempty"`
}

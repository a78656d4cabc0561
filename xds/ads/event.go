package ads

import (
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// Event is one of Acked, Nacked, TimedOut, Connected and Disconnected.
type Event interface{ event() }

// Acked says that every connected proxy that holds the inference route has taken
// the split of Epoch, except for those that TimedOut named before. It is not said
// while no proxy is connected, and said again when one that connected later, or that
// TimedOut named, has caught up, and when the first one is back.
type Acked struct {
	Route   config.Key
	Epoch   uint64
	Proxies int // how many took it; at least 1
	// Refused says that a proxy still refuses a listener of the inference route, and has
	// the split where requests come in meanwhile.
	Refused bool
	At      time.Time
}

// Nacked says that a proxy refused a resource that the inference route needs and
// keeps what it had.
type Nacked struct {
	Route    config.Key
	Epoch    uint64
	Proxy    string
	Resource xds.Ref
	Text     string // Envoy's own
	At       time.Time

	again bool // the same refusal was told of an inference route before
}

// TimedOut says that proxies have neither taken nor refused a resource that the
// inference route needs, for the AckTimeout. They are no longer waited for.
type TimedOut struct {
	Route    config.Key
	Epoch    uint64
	Resource xds.Ref
	Proxies  []string // sorted
	At       time.Time
}

// Connected says that a proxy opened a discovery stream.
type Connected struct {
	Proxy string
	At    time.Time
}

// Disconnected says that a proxy's discovery stream ended. The proxy serves on
// with what it has.
type Disconnected struct {
	Proxy string
	At    time.Time
}

func (Acked) event()        {}
func (Nacked) event()       {}
func (TimedOut) event()     {}
func (Connected) event()    {}
func (Disconnected) event() {}

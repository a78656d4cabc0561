package controller

import (
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/canary"
)

// fleet is the proxies that are connected.
type fleet struct {
	connected map[string]bool
	stuck     []string // no longer waited for; sorted
}

func newFleet() fleet { return fleet{connected: map[string]bool{}} }

func (f fleet) names() []string { return slices.Sorted(maps.Keys(f.connected)) }

// Connected says that a proxy came.
func (c *Controller) Connected(proxy string) { c.fleet.connected[proxy] = true }

// Disconnected says that a proxy left. It serves on with what it has.
func (c *Controller) Disconnected(now time.Time, proxy string) {
	delete(c.fleet.connected, proxy)
	c.fleet.stuck = slices.DeleteFunc(slices.Clone(c.fleet.stuck), func(s string) bool { return s == proxy })
	c.event(canary.Disconnected{At: now, Proxy: proxy, Remaining: len(c.fleet.connected)})
}

// Acked says that every connected proxy has taken the split of an epoch, but for
// those that TimedOut named.
func (c *Controller) Acked(e canary.Acked) {
	if e.Proxies >= len(c.fleet.connected) {
		c.fleet.stuck = nil // they have caught up
	}
	e.Stuck = c.fleet.stuck
	c.event(e)
}

// Nacked says that a proxy refused what was sent, in its own words.
func (c *Controller) Nacked(now time.Time, proxy string, epoch uint64, text string) {
	c.event(canary.Nacked{At: now, Proxy: proxy, Epoch: epoch, Text: text})
}

// TimedOut says that proxies are no longer waited for.
func (c *Controller) TimedOut(proxies []string) {
	c.fleet.stuck = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(c.fleet.stuck), proxies...))))
}

// Resized says how many endpoints of a version are ready.
func (c *Controller) Resized(now time.Time, version string, ready, total int, fact string) {
	c.event(canary.Resized{At: now, Version: version, Ready: ready, Total: total, Fact: fact})
}

// keptEarly is how many events are kept until something is configured.
const keptEarly = 100

// event handles what nobody waits for an answer of.
func (c *Controller) event(ev canary.Event) {
	if !c.begun {
		c.early = append(c.early, ev)
		c.early = c.early[max(0, len(c.early)-keptEarly):]
		return
	}
	if _, err := c.Handle(ev); err != nil {
		c.Log.Error("event not taken", "event", string(ev.Kind()), "error", err)
	}
}

// catchUp handles what came before the first configuration.
func (c *Controller) catchUp() {
	early := c.early
	c.early = nil
	for _, ev := range early {
		c.event(ev)
	}
}

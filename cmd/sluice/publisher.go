package main

import (
	"errors"
	"slices"
	"sync"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// server is what brings whole configs to proxies: xds/ads.
type server interface {
	Publish(c *config.Config, splits map[config.Key]config.Split) error
}

// publisher is the controllers' Publisher: it puts their routes together into
// what the ADS server serves. Until open it only collects, so that a proxy that
// comes back after a restart is never sent half of what it holds.
type publisher struct {
	server server

	mu       sync.Mutex
	opened   bool
	editing  bool // a configuration is being brought into force
	stale    bool // something was withdrawn that is still served
	policies []config.AnalysisPolicy
	routes   map[config.Key]config.InferenceRoute
	splits   map[config.Key]config.Split
}

func newPublisher(s server) *publisher {
	return &publisher{server: s, routes: map[config.Key]config.InferenceRoute{}, splits: map[config.Key]config.Split{}}
}

// Publish serves an inference route as configured, under a split.
func (p *publisher) Publish(r config.InferenceRoute, s config.Split) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.routes[r.Key], p.splits[r.Key] = r, s
	return blaming(r.Key, p.serve())
}

// blaming keeps what an error says of one inference route: another's mistake is
// nothing for this one's log.
func blaming(k config.Key, err error) error {
	var of *xds.RouteError
	if errors.As(err, &of) && of.Route == k {
		return of
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if found := blaming(k, e); found != nil {
				return found
			}
		}
	}
	return nil
}

// edit begins a configuration with the policies that its routes name. They are served with
// the next route.
func (p *publisher) edit(policies []config.AnalysisPolicy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.policies, p.editing = policies, true
}

// edited ends it.
func (p *publisher) edited() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.editing = false
	if p.stale {
		_ = p.serve() // taking one away adds no mistake to the others
	}
}

// Withdraw no longer serves it. While a configuration is brought into force, what goes is
// served until something comes or that is done, so that a route that is renamed is served
// throughout.
func (p *publisher) Withdraw(k config.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.routes, k)
	delete(p.splits, k)
	if p.stale = true; !p.editing {
		_ = p.serve() // as above
	}
}

// open serves what was collected, and everything from now on.
func (p *publisher) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = true
	return p.serve()
}

func (p *publisher) serve() error {
	if !p.opened {
		return nil
	}
	p.stale = false
	c := &config.Config{Policies: p.policies}
	splits := make(map[config.Key]config.Split, len(p.splits))
	for k, r := range p.routes {
		c.Routes = append(c.Routes, r)
		splits[k] = p.splits[k]
	}
	slices.SortFunc(c.Routes, func(a, b config.InferenceRoute) int {
		return a.Key.Compare(b.Key)
	})
	return p.server.Publish(c, splits)
}

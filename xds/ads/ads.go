// Package ads serves xds.Resources to Envoys over one discovery stream each, and
// knows of every resource which proxy was sent it, took it or refused it. It
// decides nothing about traffic: what is served is xds.Translate's, the order in
// which it is served is xds.Progress's.
//
// # Why it speaks the protocol itself
//
// An edit has to reach ten thousand proxies, so it costs each of them a record, a
// nonce and a write, and nothing else: what they hear is marshalled once, an index
// by name finds who hears it, and nothing is written under the lock. A server that
// keeps a subscription of its own, and hands responses from goroutine to goroutine,
// costs half as much again. e2e/xdsbench measures it.
//
// Start reading at Server.Publish and Server.Run, then session.go and delta.go for
// one stream.
package ads

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// Config of a Server.
type Config struct {
	// AckTimeout is how long a change waits for a connected proxy before the proxy is
	// named by TimedOut and no longer waited for, where no policy of an inference route
	// says it. Default 10s.
	AckTimeout time.Duration
	// Drain is how long a cluster is kept after the last route to it has gone, and
	// what a changed listener's former connections use. It must be longer than the
	// proxies' own drain time (envoy --drain-time-s). Default 10s.
	Drain time.Duration
	// Notify is told what happened, in order, by the goroutine of Run. It may call
	// any method of the Server but must not block for long. Optional.
	Notify func(Event)
	// Ports are where proxies listened when Keep was told last. A proxy that served on
	// is led there until it listens where it is wanted now. Default: none.
	Ports xds.Formers
	// Keep is told where proxies listen whenever that has changed, by the goroutine of
	// Run. Optional.
	Keep func(xds.Formers)
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Log. Default: none.
	Log *slog.Logger
}

// Server is the discovery service. Publish, Proxies and the gRPC service may be
// used at any time; changes reach proxies while Run runs.
type Server struct {
	discoverypb.UnimplementedAggregatedDiscoveryServiceServer

	cfg  Config
	wake chan struct{} // holds one

	publishing sync.Mutex
	translator xds.Translator
	unmirrored map[config.Key]string // as last logged
	published  published

	mu sync.Mutex
	fleet
	wanted   xds.Resources
	progress xds.Progress
}

// New gives a Server that serves nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.AckTimeout < 0 || cfg.Drain < 0 {
		return nil, errors.New("ads: AckTimeout and Drain must not be negative")
	}
	if cfg.AckTimeout == 0 {
		cfg.AckTimeout = 10 * time.Second
	}
	if cfg.Drain == 0 {
		cfg.Drain = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Event) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Keep == nil {
		cfg.Keep = func(xds.Formers) {}
	}
	s := &Server{cfg: cfg, wake: make(chan struct{}, 1), fleet: newFleet()}
	s.published.formers = cfg.Ports
	for _, list := range cfg.Ports {
		for _, f := range list {
			s.opened[xds.ListenerName(f.Listener.Port)] = true
		}
	}
	return s, nil
}

// Register adds the discovery service to g.
func (s *Server) Register(g *grpc.Server) {
	discoverypb.RegisterAggregatedDiscoveryServiceServer(g, s)
}

// patienceOf gives the AckTimeout of each inference route whose policy has one.
func patienceOf(cfg *config.Config) map[config.Key]time.Duration {
	patience := map[config.Key]time.Duration{}
	known := map[config.Key]time.Duration{} // by policy: most routes share one
	for _, r := range cfg.Routes {
		policy := config.Key{Namespace: r.Namespace, Name: r.Analysis.Policy}
		if _, ok := known[policy]; !ok {
			spec, _ := cfg.Policy(policy)
			known[policy] = spec.Limits.AckTimeout.D()
		}
		if timeout := known[policy]; timeout > 0 {
			patience[r.Key] = timeout
		}
	}
	return patience
}

// Run brings changes to proxies until ctx is done, then ends every stream. It
// must run once.
func (s *Server) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.endAll()
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		events, told, due := s.advance()
		due = earlier(due, s.move())
		s.keep()
		for _, e := range told {
			e.run()
		}
		for _, e := range events {
			s.log(e)
			s.cfg.Notify(e)
		}
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(due.Sub(s.cfg.Now()))
		}
	}
}

// log says what a person who runs the control plane wants to know. Every Acked
// would be too much.
func (s *Server) log(e Event) {
	switch e := e.(type) {
	case Connected:
		s.cfg.Log.Info("proxy connected", "proxy", e.Proxy)
	case Disconnected:
		s.cfg.Log.Info("proxy disconnected", "proxy", e.Proxy)
	case Nacked:
		if e.again {
			return
		}
		s.cfg.Log.Warn("a proxy refused a resource", "proxy", e.Proxy, "route", e.Route.String(), "epoch", e.Epoch,
			"resource", e.Resource.Name, "text", e.Text)
	case TimedOut:
		s.cfg.Log.Warn("proxies do not answer", "proxies", e.Proxies, "route", e.Route.String(), "epoch", e.Epoch, "resource", e.Resource.Name)
	}
}

// advance serves the next phases of the plan, and collects what to tell whom.
func (s *Server) advance() (events []Event, told []errand, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	due, told = s.offerAgain(now)
	due = earlier(due, s.turns.expire(now, s.cfg.AckTimeout))
	told = append(told, s.admit(now)...)
	due = earlier(due, s.expire(now))
	for {
		next, changes, wake := s.progress.Next(xds.Situation{Wanted: s.wanted, Open: s.unanswered(), Now: now, Drain: s.cfg.Drain})
		s.progress = next
		if len(changes) == 0 {
			due = earlier(due, wake)
			break
		}
		for _, c := range changes {
			told = append(told, s.apply(c, now)...)
			s.settleQuiet(c, now)
		}
		due = earlier(due, s.expire(now))
	}
	s.remind(now)
	events, s.events = s.events, nil
	return events, told, due
}

// settleQuiet tells of tables that listeners and hostnames lead to now without an
// answer of any proxy.
func (s *Server) settleQuiet(c xds.Change, now time.Time) {
	if c.Type != xds.TypeScope && c.Type != xds.TypeListener {
		return
	}
	for _, r := range c.Set {
		s.settled(s.fanouts[c.Type].entries[r.Name], now)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// rouse wakes Run.
func (s *Server) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

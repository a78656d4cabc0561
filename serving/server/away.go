package server

import (
	"context"
	"errors"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sluice-dev/sluice/serving"
)

// Prober is a Backend whose model is elsewhere and can be asked whether it is
// well. Readiness follows it: it drops after unheardLimit runs in a row that
// ended with serving.ErrUnavailable, and comes back with the first probe or run
// that is answered.
type Prober interface {
	Probe(ctx context.Context) error
}

const (
	unheardLimit  = 3
	probeInterval = time.Second // also the longest that a probe may take
)

// follow counts runs that nobody answered.
func (e *engine) follow(err error) {
	switch {
	case errors.Is(err, errDropped):
	case !errors.Is(err, serving.ErrUnavailable):
		e.unheard = 0
		if e.away.CompareAndSwap(true, false) {
			e.back()
		}
	default:
		e.unheard++
		_, can := e.backend.Load().backend.(Prober)
		if can && e.unheard >= unheardLimit && e.away.CompareAndSwap(false, true) {
			e.left()
		}
	}
}

// watchModel probes a model that is away until ctx ends.
func (s *Server) watchModel(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.engine.away.Load() && s.probe(ctx) == nil && s.engine.away.CompareAndSwap(true, false) {
			s.returned()
		}
	}
}

func (s *Server) probe(ctx context.Context) error {
	g := s.engine.backend.Load()
	if !g.enter() {
		return serving.ErrUnavailable // replaced just now
	}
	defer g.leave()
	ctx, cancel := context.WithTimeout(ctx, probeInterval)
	defer cancel()
	return g.backend.(Prober).Probe(ctx) //nolint:forcetypeassert // or it would not be away
}

func (s *Server) departed() {
	s.config.Logger.Warn("not ready: the model is unavailable", "runs_unanswered", unheardLimit)
	s.grpc.show(healthpb.HealthCheckResponse_NOT_SERVING)
}

func (s *Server) returned() {
	s.config.Logger.Info("ready: the model is back")
	s.grpc.show(healthpb.HealthCheckResponse_SERVING)
}

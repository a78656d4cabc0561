package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// errStopping is what requests are told that the drain had no time for.
var errStopping = errors.New("server is shutting down")

// setReady comes before it is told: who hears of it may call at once.
func (s *Server) setReady() {
	s.ready.Store(true)
	s.grpc.show(healthpb.HealthCheckResponse_SERVING)
}

// drain follows the package comment. It returns in DrainDelay + DrainTimeout,
// whatever handlers and runs do.
func (s *Server) drain(ctx context.Context, front *http.Server, stop context.CancelCauseFunc, worked <-chan error) error {
	s.draining.Store(true)
	s.grpc.health.Shutdown() // for good: a warm-up may end after this
	s.config.Logger.Info("draining", "delay", s.config.DrainDelay.String(), "timeout", s.config.DrainTimeout.String())
	time.Sleep(s.config.DrainDelay)

	ctx, cancel := context.WithTimeout(ctx, s.config.DrainTimeout)
	defer cancel()
	called := make(chan error, 1) // both fronts close at once: neither takes requests while the other is slow
	go func() { called <- s.finishCalls(ctx) }()
	unfinished := errors.Join(front.Shutdown(ctx), <-called)
	stop(errStopping)
	select {
	case err := <-worked:
		if errors.Is(err, context.Canceled) {
			err = nil // stopped before it was warm: nothing was promised
		}
		unfinished = errors.Join(unfinished, err)
	case <-ctx.Done():
		unfinished = ctx.Err() // a run does not end
	}
	if unfinished != nil {
		return errors.Join(fmt.Errorf("drain: requests in flight did not finish: %w", unfinished), s.close(front))
	}
	s.config.Logger.Info("drained")
	return nil
}

// finishCalls closes the gRPC listener and waits for calls in flight. Watches of
// health and load never end by themselves and are ended.
func (s *Server) finishCalls(ctx context.Context) error {
	s.grpc.end()
	finished := make(chan struct{})
	go func() { s.grpc.front.GracefulStop(); close(finished) }()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		s.grpc.front.Stop() // GracefulStop goes on to wait for handlers: they bound nothing
		return ctx.Err()
	}
}

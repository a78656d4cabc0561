// Package server answers inference requests for one version of one model, by
// the Open Inference Protocol v2 over HTTP. It owns the listener, the goroutine
// that owns the Batcher, the one that runs the model, warm-up, drain and
// metrics. It never decides which request runs when (package serving does),
// nor knows what a model is made of (a Backend does).
//
// Start reading at Server.Run, then engine (the loop), then infer (a request).
//
// # Draining
//
// When Run's context ends, readiness drops at once, while requests are still
// accepted for DrainDelay: callers need that long to notice. Answers then ask
// clients to close their connections. After it the listener closes, and what
// is in flight has DrainTimeout to finish. The sum bounds the exit.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/serving"
)

// Backend runs one model. Run is called from one goroutine, with inputs bound
// by the Signature; what it returns belongs to the caller.
type Backend interface {
	Signature() serving.Signature
	Run(inputs []serving.Tensor) ([]serving.Tensor, error)
}

// Config says what to serve and within which limits.
type Config struct {
	Model    string // name in the protocol's paths
	Version  string // version in the protocol's paths
	Platform string // shown in the model's metadata, as in "onnxruntime_onnx"
	Backend  Backend
	Listener net.Listener // Run closes it

	MaxBatch int           // most rows in one run; 1 where the model does not batch. Default 8
	Capacity int           // most rows waiting. Default 256
	Delay    time.Duration // see serving.Config.Delay. Default 0
	MaxBody  int64         // most bytes in a request. Default 64 MiB

	DrainDelay   time.Duration // readiness is down, requests are still accepted. Default 0
	DrainTimeout time.Duration // for requests in flight after that. Default 20 s

	// Parameters are shown in the model's metadata.
	Parameters map[string]string
	// Wrap goes round the protocol's handler, health and metrics included. Optional.
	Wrap func(http.Handler) http.Handler
	// Warm is called once, after the warm-up and before the server is ready. Optional.
	Warm   func()
	Logger *slog.Logger // default: none
}

// Server serves one model version.
type Server struct {
	config    Config
	signature serving.Signature
	engine    *engine
	registry  *prometheus.Registry
	ready     atomic.Bool
	draining  atomic.Bool
}

// New refuses a config that cannot be served, with all its mistakes.
func New(c Config) (*Server, error) {
	c = withDefaults(c)
	var mistakes []error
	for _, missing := range []struct {
		what string
		is   bool
	}{
		{"model name", c.Model == ""},
		{"model version", c.Version == ""},
		{"backend", c.Backend == nil},
		{"listener", c.Listener == nil},
	} {
		if missing.is {
			mistakes = append(mistakes, fmt.Errorf("%s: missing", missing.what))
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	signature := c.Backend.Signature()
	if !signature.Batchable() {
		c.MaxBatch = 1
	}
	batcher, err := serving.New(serving.Config{MaxBatch: c.MaxBatch, Capacity: c.Capacity, Delay: c.Delay})
	if err != nil {
		return nil, err
	}
	registry, m := newMetrics(c.Model, c.Version)
	return &Server{
		config: c, signature: signature, registry: registry,
		engine: newEngine(c.Backend, batcher, m),
	}, nil
}

func withDefaults(c Config) Config {
	if c.MaxBatch == 0 {
		c.MaxBatch = 8
	}
	if c.Capacity == 0 {
		c.Capacity = 256
	}
	if c.MaxBody == 0 {
		c.MaxBody = 64 << 20
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 20 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Wrap == nil {
		c.Wrap = func(h http.Handler) http.Handler { return h }
	}
	if c.Warm == nil {
		c.Warm = func() {}
	}
	return c
}

// Run serves until ctx ends, then drains. The listener answers from the start;
// it is ready after one run of every batch size. The error is nil after a drain
// that finished every request.
func (s *Server) Run(ctx context.Context) error {
	front := s.front()
	served := make(chan error, 1)
	go func() { served <- front.Serve(s.config.Listener) }()

	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	worked := make(chan error, 1)
	go func() { worked <- s.work(ctx, working) }()

	select {
	case err := <-worked:
		if ctx.Err() == nil { // the warm-up failed
			return errors.Join(err, front.Close())
		}
		worked <- err
	case err := <-served:
		stop(err)
		return errors.Join(err, <-worked)
	case <-ctx.Done():
	}
	return s.drain(context.WithoutCancel(ctx), front, stop, worked)
}

// work warms the model up and then runs the engine until working ends. It
// gives up between two warm-up runs when ctx ends.
func (s *Server) work(ctx, working context.Context) error {
	began := time.Now()
	if err := s.engine.warm(ctx, s.signature, s.config.MaxBatch); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	s.config.Warm()
	s.engine.metrics.loaded.Set(time.Since(began).Seconds())
	s.ready.Store(true)
	s.config.Logger.Info("ready", "warm_up", time.Since(began).String(), "knee", s.engine.batcher.Cost().Knee(s.config.MaxBatch))
	s.engine.run(working)
	return nil
}

func (s *Server) front() *http.Server {
	return &http.Server{
		Handler:           s.config.Wrap(s.Handler()),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelWarn),
	}
}

// errStopping is what requests are told that the drain had no time for.
var errStopping = errors.New("server is shutting down")

// drain follows the package comment. It returns in DrainDelay + DrainTimeout.
func (s *Server) drain(ctx context.Context, front *http.Server, stop context.CancelCauseFunc, worked <-chan error) error {
	s.draining.Store(true)
	s.config.Logger.Info("draining", "delay", s.config.DrainDelay.String(), "timeout", s.config.DrainTimeout.String())
	time.Sleep(s.config.DrainDelay)

	ctx, cancel := context.WithTimeout(ctx, s.config.DrainTimeout)
	defer cancel()
	unfinished := front.Shutdown(ctx)
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
		return errors.Join(fmt.Errorf("drain: requests in flight did not finish: %w", unfinished), front.Close())
	}
	s.config.Logger.Info("drained")
	return nil
}

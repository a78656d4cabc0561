// Package server answers inference requests for one model, by the Open Inference
// Protocol v2 over HTTP and gRPC. It owns the listeners, the goroutine that owns
// the Batcher, those that run the model, warm-up, drain and metrics. It never
// decides which request runs when (package serving does), nor knows what a model
// is made of (a Backend does).
//
// Start reading at Server.Run, then engine (the loop), then infer (a request).
//
// # Draining
//
// When Run's context ends, readiness drops at once, while requests are still
// accepted for DrainDelay: callers need that long to notice. Answers then ask
// clients to close their connections. After it the listeners close, and what
// is in flight has DrainTimeout to finish. The sum bounds the exit.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/serving"
)

// Backend runs one model. Run is called from as many goroutines as there are
// slots, each with its own slot, and as many at a time as there are devices; the
// inputs are bound by the Signature, and what Run returns belongs to the caller.
// A Backend that is an io.Closer is closed when it is no longer served.
type Backend interface {
	Signature() serving.Signature
	Run(ctx context.Context, slot int, inputs []serving.Tensor) ([]serving.Tensor, error)
}

// Config says what to serve and within which limits.
type Config struct {
	Model    string // name in the protocol's paths
	Version  string // version in the protocol's paths
	Platform string // shown in the model's metadata, as in "onnxruntime_onnx"
	Digest   string // of the model, shown in its metadata. Optional
	Memory   int64  // bytes that the model is known to take, shown likewise. Optional
	Backend  Backend
	Listener net.Listener // for HTTP. Run closes it
	GRPC     net.Listener // for gRPC. Run closes it. Optional

	MaxBatch int           // most rows in one run; 1 where the model does not batch. Default 8
	Capacity int           // most rows waiting. Default 256
	MaxBytes int64         // most bytes waiting. Default 1 GiB
	Devices  int           // runs that compute at the same time. Default 1
	Slots    int           // batches in flight, those being prepared included. Default Devices + 1
	Sizes    []int         // see serving.Config.Sizes
	Delay    time.Duration // see serving.Config.Delay. Default 0
	Ageing   time.Duration // see serving.Config.Ageing. Default 1 s
	Margin   time.Duration // see serving.Config.Margin. Default 0
	MaxBody  int64         // most bytes in a request. Default 64 MiB
	Shaping  serving.Shaping

	DrainDelay   time.Duration // readiness is down, requests are still accepted. Default 0
	DrainTimeout time.Duration // for requests in flight after that. Default 20 s

	TLS         *tls.Config // for both listeners. Optional
	Tokens      Tokens      // which callers must show. Default: none is asked for
	LoadReports bool        // answers carry the load, for load balancers
	Digests     bool        // answers carry the digest of their outputs

	// Parameters are shown in the model's metadata.
	Parameters map[string]string
	// Wrap goes round the HTTP handler, health and metrics included. Optional.
	Wrap func(http.Handler) http.Handler
	// Intercept goes round the gRPC methods. Optional.
	Intercept grpc.UnaryServerInterceptor
	// Warm is called once, after the warm-up and before the server is ready. Optional.
	Warm   func()
	Tracer trace.Tracer // for requests whose caller samples them. Optional
	Logger *slog.Logger // default: none
}

// Server serves one model.
type Server struct {
	config   Config
	engine   *engine
	process  *prometheus.Registry
	shown    atomic.Pointer[prometheus.Gatherers] // of metrics
	grpc     *grpcFront                           // nil: not served
	ready    atomic.Bool
	draining atomic.Bool
}

// New refuses a config that cannot be served, with all its mistakes.
func New(c Config) (*Server, error) {
	c = withDefaults(c)
	if err := c.check(); err != nil {
		return nil, err
	}
	g := newGeneration(Generation{Version: c.Version, Digest: c.Digest, Memory: c.Memory, Backend: c.Backend})
	if !g.signature.Batchable() {
		c.MaxBatch, c.Sizes = 1, nil
	}
	batcher, err := serving.New(serving.Config{
		MaxBatch: c.MaxBatch, Capacity: c.Capacity, MaxBytes: c.MaxBytes, Devices: c.Devices, Slots: c.Slots,
		Sizes: c.Sizes, Delay: c.Delay, Ageing: c.Ageing, Margin: c.Margin,
	})
	if err := errors.Join(err, c.Shaping.Check(g.signature)); err != nil {
		return nil, err
	}
	g.metrics = newMetrics(c.Model, c.Version)
	s := &Server{config: c, process: newProcessMetrics(), engine: newEngine(g, batcher, c)}
	s.shown.Store(&prometheus.Gatherers{s.process, g.metrics.registry})
	s.grpc = s.newGRPC()
	s.engine.left, s.engine.back = s.departed, s.returned
	return s, nil
}

func (c Config) check() error {
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
	return errors.Join(mistakes...)
}

func withDefaults(c Config) Config {
	orInt := func(v *int, value int) {
		if *v == 0 {
			*v = value
		}
	}
	orInt(&c.MaxBatch, 8)
	orInt(&c.Capacity, 256)
	orInt(&c.Devices, 1)
	orInt(&c.Slots, c.Devices+1)
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
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

// Run serves until ctx ends, then drains. The listeners answer from the start;
// the server is ready after its warm-up. The error is nil after a drain that
// finished every request.
func (s *Server) Run(ctx context.Context) error {
	front := s.front()
	served := make(chan error, 2)
	go func() { served <- front.Serve(s.listener()) }()
	if s.config.GRPC != nil {
		go func() { served <- s.grpc.front.Serve(s.config.GRPC) }()
	}

	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	worked := make(chan error, 1)
	go func() { worked <- s.work(ctx, working) }()

	select {
	case err := <-worked:
		if ctx.Err() == nil { // the warm-up failed
			return errors.Join(err, s.close(front))
		}
		worked <- err
	case err := <-served:
		stop(err)
		return errors.Join(err, <-worked, s.close(front))
	case <-ctx.Done():
	}
	return s.drain(context.WithoutCancel(ctx), front, stop, worked)
}

func (s *Server) listener() net.Listener {
	if s.config.TLS == nil {
		return s.config.Listener
	}
	return tls.NewListener(s.config.Listener, s.config.TLS)
}

// close ends the fronts at once.
func (s *Server) close(front *http.Server) error {
	s.grpc.front.Stop()
	return front.Close()
}

// work warms the model up and then runs the engine until working ends. It
// gives up between two warm-up runs when ctx ends.
func (s *Server) work(ctx, working context.Context) error {
	began := time.Now()
	e := s.engine
	g := e.backend.Load()
	sweep, err := g.warm(ctx, s.config, func(rows int, spent serving.Spent) { e.batcher.Learn(time.Now(), "", rows, spent) })
	if err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	e.batcher.Swept(sweep)
	s.config.Warm()
	g.metrics.loaded.Set(time.Since(began).Seconds())
	s.setReady()
	s.config.Logger.Info("ready", "warm_up", time.Since(began).String(),
		"best_batch", sweep.Best(s.config.MaxBatch), "rows_per_second", e.batcher.Rate())
	if unknown := s.config.Shaping.Unpadded(g.signature); len(unknown) > 0 {
		s.config.Logger.Warn("rate is of the smallest requests only: no --pad says how long dimensions become", "dimensions", unknown)
	}
	if _, elsewhere := s.config.Backend.(Prober); elsewhere {
		probing, end := context.WithCancel(working)
		watched := make(chan struct{})
		go func() { defer close(watched); s.watchModel(probing) }()
		defer func() { end(); <-watched }()
	}
	e.run(working)
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

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/serving/server"
	"github.com/sluice-dev/sluice/serving/server/fault"
)

// run serves until ctx ends.
func run(ctx context.Context, f flags, logs io.Writer) error {
	log := slog.New(slog.NewJSONHandler(logs, nil)).With("model", f.modelName)
	src, err := newSource(f, log)
	if err != nil {
		return err
	}
	c, err := f.server(ctx, src, log)
	if err != nil {
		return err
	}
	tracer, flush, err := newTracer(ctx, f)
	if err != nil {
		return err
	}
	c.Tracer = tracer
	wrap, err := injectFaults(&c, f, log)
	if err != nil {
		return err
	}
	if err := f.secure(&c); err != nil {
		return err
	}
	if err := f.listen(&c); err != nil {
		return err
	}
	s, err := server.New(c)
	if err != nil {
		return err
	}
	if err := f.announce(c, src, log); err != nil {
		return err
	}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		src.watch(ctx, func(ctx context.Context, g server.Generation) error {
			g.Backend = wrap(g.Backend)
			return s.Swap(ctx, g)
		})
	}()
	err = s.Run(ctx)
	if ctx.Err() != nil {
		select {
		case <-watching:
		case <-time.After(time.Second): // a run of a new version's warm-up does not end
		}
	}
	if lost := flush(); lost != nil { // the exit tells of requests alone
		log.Warn("last spans were not sent", "endpoint", f.otlp, "error", lost.Error())
	}
	return err
}

// server is the config without listeners.
func (f *flags) server(ctx context.Context, src *source, log *slog.Logger) (server.Config, error) {
	g, err := src.open(ctx)
	if err != nil {
		return server.Config{}, err
	}
	shaping, err := f.shaping(g.Backend.Signature())
	if err != nil {
		return server.Config{}, err
	}
	return server.Config{
		Model: f.modelName, Version: g.Version, Platform: src.platform(), Digest: g.Digest, Memory: g.Memory, Backend: g.Backend,
		MaxBatch: f.maxBatch, Capacity: f.capacity, MaxBytes: f.maxBytes, Devices: f.devices, Slots: f.inFlight(), Sizes: f.sizes,
		Delay: f.delay, Ageing: f.ageing, Margin: f.margin, MaxBody: f.maxBody, Shaping: shaping,
		DrainDelay: f.drainDelay, DrainTimeout: f.drainTimeout,
		LoadReports: f.reports, Digests: f.digests, Warm: src.trim, Logger: log,
	}, nil
}

func (f *flags) listen(c *server.Config) (err error) {
	if c.Listener, err = net.Listen("tcp", f.httpAddress); err != nil {
		return err
	}
	if f.grpcAddress != "" {
		c.GRPC, err = net.Listen("tcp", f.grpcAddress)
	}
	return err
}

// announce says where the server listens.
func (f *flags) announce(c server.Config, src *source, log *slog.Logger) error {
	with := []any{"address", c.Listener.Addr().String(), "version", c.Version, "digest", c.Digest, "max_batch", f.maxBatch}
	if src.library != nil {
		with = append(with, "onnxruntime", src.library.Version())
	}
	if c.GRPC != nil {
		with = append(with, "grpc_address", c.GRPC.Addr().String())
		if err := writeAddress(f.grpcAddressFile, c.GRPC.Addr().String()); err != nil {
			return err
		}
	}
	if err := writeAddress(f.addressFile, c.Listener.Addr().String()); err != nil {
		return err
	}
	log.Info("listening", with...)
	return nil
}

// injectFaults wraps what is served in the faults asked for, and says so. What
// it gives wraps later models.
func injectFaults(c *server.Config, f flags, log *slog.Logger) (func(server.Backend) server.Backend, error) {
	if len(f.faults) == 0 {
		return func(b server.Backend) server.Backend { return b }, nil
	}
	plan, err := fault.Parse(f.faults)
	if err != nil {
		return nil, fmt.Errorf("--inject-fault: %w", err)
	}
	crash := func() {
		log.Error("crash is injected on purpose")
		os.Exit(3)
	}
	injector := fault.New(plan, f.seed, crash)
	c.Wrap, c.Intercept = injector.Handler, injector.Intercept
	c.Backend = injector.Backend(c.Backend)
	what := strings.Join(f.faults, ",")
	c.Parameters = map[string]string{"injected_faults": what}
	log.Warn("faults are injected on purpose", "faults", what, "seed", f.seed)
	return injector.Backend, nil
}

// writeAddress makes the address appear in the file at once, or not at all.
func writeAddress(path, address string) error {
	if path == "" {
		return nil
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(temporary, []byte(address+"\n"), 0o644); err != nil { //nolint:gosec // meant to be read by others
		return err
	}
	return os.Rename(temporary, path)
}

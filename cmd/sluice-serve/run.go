package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"

	"github.com/sluice-dev/sluice/serving/backend/onnx"
	"github.com/sluice-dev/sluice/serving/server"
	"github.com/sluice-dev/sluice/serving/server/fault"
)

// run serves until ctx ends.
func run(ctx context.Context, f flags, logs io.Writer) error {
	log := slog.New(slog.NewJSONHandler(logs, nil)).With("model", f.modelName, "version", f.modelVersion)
	config := server.Config{
		Model: f.modelName, Version: f.modelVersion, Platform: "onnxruntime_onnx",
		MaxBatch: f.maxBatch, Capacity: f.capacity, Delay: f.delay, MaxBody: f.maxBody,
		DrainDelay: f.drainDelay, DrainTimeout: f.drainTimeout, Logger: log,
	}
	library, err := onnx.Load(f.library)
	if err != nil {
		return err
	}
	model, err := library.Open(onnx.Config{Path: f.modelPath, Threads: f.threads})
	if err != nil {
		return err
	}
	config.Backend = model
	config.Warm = func() { library.Trim(); debug.FreeOSMemory() }
	if err := injectFaults(&config, f, log); err != nil {
		return err
	}
	if config.Listener, err = net.Listen("tcp", f.httpAddress); err != nil {
		return err
	}
	s, err := server.New(config)
	if err != nil {
		return err
	}
	address := config.Listener.Addr().String()
	if err := writeAddress(f.addressFile, address); err != nil {
		return err
	}
	log.Info("listening", "address", address, "onnxruntime", library.Version(), "max_batch", f.maxBatch)
	return s.Run(ctx)
}

// injectFaults wraps what is served in the faults asked for, and says so.
func injectFaults(c *server.Config, f flags, log *slog.Logger) error {
	if len(f.faults) == 0 {
		return nil
	}
	plan, err := fault.Parse(f.faults)
	if err != nil {
		return fmt.Errorf("--inject-fault: %w", err)
	}
	crash := func() {
		log.Error("crash is injected on purpose")
		os.Exit(3)
	}
	injector := fault.New(plan, f.seed, crash)
	c.Wrap = injector.Handler
	c.Backend = injector.Backend(c.Backend)
	what := strings.Join(f.faults, ",")
	c.Parameters = map[string]string{"injected_faults": what}
	log.Warn("faults are injected on purpose", "faults", what, "seed", f.seed)
	return nil
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

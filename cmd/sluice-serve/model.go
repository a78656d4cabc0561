package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/sluice-dev/sluice/serving/backend/onnx"
	"github.com/sluice-dev/sluice/serving/backend/remote"
	"github.com/sluice-dev/sluice/serving/server"
)

// source opens what the flags name, now and when it is replaced.
type source struct {
	flags   flags
	library *onnx.Library // nil: the model is another server's
	served  found         // what is served now
	log     *slog.Logger
}

func newSource(f flags, log *slog.Logger) (*source, error) {
	s := &source{flags: f, log: log}
	if f.remote != "" {
		return s, nil
	}
	var err error
	s.library, err = onnx.Load(f.library)
	return s, err
}

// platform is what the protocol's metadata calls it.
func (s *source) platform() string {
	if s.library == nil {
		return "remote"
	}
	return "onnxruntime_onnx"
}

// open gives the model that the flags mean at this moment.
func (s *source) open(ctx context.Context) (server.Generation, error) {
	if s.library == nil {
		return s.openRemote(ctx)
	}
	models, err := s.flags.findModels()
	if err != nil {
		return server.Generation{}, err
	}
	var mistakes []error
	for _, m := range models {
		g, err := s.openFile(m)
		if err == nil {
			s.served = m
			return g, nil
		}
		mistakes = append(mistakes, err)
		if len(models) > 1 {
			s.log.Error("version is not served", "path", m.path, "error", err.Error())
		}
	}
	return server.Generation{}, errors.Join(mistakes...)
}

func (s *source) openRemote(ctx context.Context) (server.Generation, error) {
	f := s.flags
	c := remote.Config{URL: f.remote, Model: f.remoteModel, Version: f.remoteVersion}
	if c.Model == "" {
		c.Model = f.modelName
	}
	model, err := remote.Open(ctx, c)
	version := f.modelVersion
	if version == "" {
		version = "1"
	}
	return server.Generation{Version: version, Backend: model}, err
}

func (s *source) openFile(m found) (server.Generation, error) {
	f := s.flags
	if err := m.verify(f.digest); err != nil {
		return server.Generation{}, err
	}
	limit, used := memoryLimit()
	if f.memory > 0 {
		limit, used = f.memory, resident()
	}
	if err := m.fits(limit, used); err != nil {
		return server.Generation{}, err
	}
	provider, err := onnx.ParseProvider(f.provider)
	if err != nil {
		return server.Generation{}, err
	}
	model, err := s.library.Open(onnx.Config{
		Path: m.path, Threads: f.threads, Provider: provider, Device: f.device, Slots: f.inFlight(),
	})
	if err != nil {
		return server.Generation{}, err
	}
	return server.Generation{Version: m.version, Digest: m.digest, Memory: model.Memory(), Backend: model}, nil
}

// resident is what the process holds of the machine's memory; 0 where the
// system does not tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

func (f *flags) inFlight() int {
	if f.slots > 0 {
		return f.slots
	}
	return f.devices + 1
}

// trim gives memory back that only the warm-up needed.
func (s *source) trim() {
	if s.library != nil {
		s.library.Trim()
	}
	debug.FreeOSMemory()
}

// watch serves a higher version of the folder as soon as it is there, whole and
// warm. What cannot be served is reported and left alone until it changes, or for
// some looks.
func (s *source) watch(ctx context.Context, serve func(context.Context, server.Generation) error) {
	if s.library == nil || s.flags.modelVersion != "" || s.flags.reload == 0 {
		return
	}
	ticker := time.NewTicker(s.flags.reload)
	defer ticker.Stop()
	const patience = 6 // looks
	var before, refused found
	for look := 0; ; look++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		models, err := s.flags.findModels()
		if err != nil || models[0].version == s.served.version || models[0] == refused && look%patience > 0 {
			continue
		}
		m := models[0]
		if m != before { // it may still be written
			before = m
			continue
		}
		if err := s.replace(ctx, m, serve); err != nil {
			refused = m
			s.log.Error("version is not served", "path", m.path, "error", err.Error())
		}
	}
}

func (s *source) replace(ctx context.Context, m found, serve func(context.Context, server.Generation) error) error {
	g, err := s.openFile(m)
	if err != nil {
		return err
	}
	if err := serve(ctx, g); err != nil {
		return errors.Join(err, closeBackend(g.Backend))
	}
	s.served = m
	s.trim()
	return nil
}

func closeBackend(b server.Backend) error {
	if c, ok := b.(io.Closer); ok {
		if err := c.Close(); err != nil {
			return fmt.Errorf("closing it: %w", err)
		}
	}
	return nil
}

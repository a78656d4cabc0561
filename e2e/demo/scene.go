package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluice-dev/sluice/e2e/stage"
)

// How long things may take to start and to end.
const (
	startLimit = 90 * time.Second
	endGrace   = 20 * time.Second
)

// scene is everything that runs, and the folders it runs in.
type scene struct {
	out       string // for everything the demo leaves behind
	input     input
	port      uint32 // where users ask
	fleet     *stage.Fleet
	plane     *stage.Plane
	manifests []manifest // one per story

	binary string // sluice
	lock   *os.File
}

func (s *scene) routes() string { return filepath.Join(s.out, "routes") }
func (s *scene) state() string  { return filepath.Join(s.out, "state") }
func (s *scene) logs() string   { return filepath.Join(s.out, "logs") }

// claim takes the folder and empties it of what a demo before left behind.
func claim(ctx context.Context, out string) (*scene, error) {
	whole, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(whole, 0o755); err != nil {
		return nil, err
	}
	s := &scene{out: whole}
	if s.lock, err = os.OpenFile(filepath.Join(whole, ".lock"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: another demo runs in it: %w", whole, err), s.lock.Close())
	}
	return s, s.empty(ctx)
}

// empty ends the Envoy that a killed demo left, then removes its files.
func (s *scene) empty(ctx context.Context) error {
	var err error
	if s.binary, err = stage.Built("sluice"); err != nil {
		return err
	}
	if _, err := os.Stat(s.state()); err == nil {
		if err := stage.Down(ctx, s.binary, s.state()); err != nil {
			return err
		}
	}
	for _, old := range []string{s.routes(), s.state(), s.logs(), s.report()} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	return errors.Join(os.Mkdir(s.routes(), 0o755), os.Mkdir(s.logs(), 0o755))
}

// build reads the input and starts every process: the model servers, then the
// control plane with its Envoy. What it started before an error is ended by close.
func (s *scene) build(ctx context.Context, seed uint64) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	envoy, err := stage.Part("ENVOY_BIN", "envoy/envoy")
	if err != nil {
		return err
	}
	models, err := findModels()
	if err != nil {
		return err
	}
	if s.input, err = readInput(seed, models[candidate].config); err != nil {
		return err
	}
	if err := s.serve(ctx, models, seed); err != nil {
		return err
	}
	if s.port, err = stage.FreePort(); err != nil {
		return err
	}
	if err := stage.Replace(filepath.Join(s.routes(), "policy.yaml"), policyYAML); err != nil {
		return err
	}
	for i := range s.manifests {
		s.manifests[i].Port = s.port
		if err := s.manifests[i].write(s.routes()); err != nil {
			return err
		}
	}
	s.plane, err = stage.StartPlane(ctx, stage.PlaneConfig{
		Binary: s.binary, Envoy: envoy, Routes: s.routes(), State: s.state(), Logs: s.logs(),
		Args: []string{"--drain", "1s", "--grace", "5s"},
	})
	return err
}

// close ends every process, whatever became of the demo.
func (s *scene) close(ctx context.Context) error {
	var errs []error
	if s.plane != nil {
		errs = append(errs, s.plane.End(ctx, endGrace))
	}
	if s.fleet != nil {
		errs = append(errs, s.fleet.Stop())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

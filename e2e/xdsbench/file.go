package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sluice-dev/sluice/xds/envoy"
)

// fromFile is how long a manifest takes to a proxy.
type fromFile struct {
	routes   int
	p50, p99 time.Duration
}

// plane is a `sluice run` without an Envoy.
type plane struct {
	dir, socket string
	endpoints   [2]string // of v1 and v2
	cmd         *exec.Cmd
}

// measureFile edits one manifest of many, again and again, and waits for one proxy.
func (o options) measureFile(ctx context.Context, dir string, routes int) (fromFile, error) {
	w := newWorld(routes)
	p := &plane{dir: filepath.Join(dir, fmt.Sprintf("plane-%d", routes))}
	for i := range p.endpoints {
		// It takes connections and says nothing: enough to be ready.
		model, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fromFile{}, err
		}
		defer model.Close()
		p.endpoints[i] = model.Addr().String()
	}
	for edit, r := range w.cfg.Routes {
		if err := p.write(r.Name, edit%2); err != nil {
			return fromFile{}, err
		}
	}
	if err := p.start(ctx, o.binary); err != nil {
		return fromFile{}, err
	}
	defer p.stop()
	s, err := dial(ctx, p.socket, w, 1)
	if err != nil {
		return fromFile{}, err
	}
	defer s.close()
	var delays []time.Duration
	for edit := range warmUps + o.edits {
		pause(ctx, o.gap)
		begin := time.Now()
		if err := p.write(w.edited.Name, 2+edit); err != nil {
			return fromFile{}, err
		}
		times, err := s.await(ctx)
		if err != nil {
			return fromFile{}, err
		}
		if edit >= warmUps {
			delays = append(delays, times[0].Sub(begin))
		}
	}
	return fromFile{routes, quantile(delays, 0.5), quantile(delays, 0.99)}, nil
}

// start runs the control plane until it serves discovery.
func (p *plane) start(ctx context.Context, binary string) error {
	state := filepath.Join(p.dir, "state")
	folder, err := envoy.Open(state)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	p.socket = folder.XDS()
	p.cmd = exec.CommandContext(ctx, binary, "run", "-f", filepath.Join(p.dir, "manifests"), "--state", state,
		"--envoy", "none", "--http-address", "127.0.0.1:0")
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for range 200 {
		if conn, err := net.Dial("unix", p.socket); err == nil {
			return conn.Close()
		}
		pause(ctx, 50*time.Millisecond)
	}
	p.stop()
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	return errors.Join(err, fmt.Errorf("%s run: does not serve discovery: %s", binary, text))
}

func (p *plane) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait() // how it ends is not measured
}

// write renames a manifest into place, as editors and deployments do.
func (p *plane) write(name string, edit int) error {
	folder := filepath.Join(p.dir, "manifests")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: %s, namespace: ml}
spec:
  hostnames: [%s.ml]
  listener: {port: 8080}
  versions:
    - {name: v1, endpoints: ["%s"]}
    - {name: v2, endpoints: ["%s"]}
  strategy: {split: {weights: {v1: %d%%, v2: %d%%}}}
`, name, name, p.endpoints[0], p.endpoints[1], 99-edit%50, 1+edit%50)
	half := filepath.Join(folder, name+".half")
	if err := os.WriteFile(half, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(half, filepath.Join(folder, name+".yaml"))
}

package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sluice-dev/sluice/canary/api"
)

// Plane is a running control plane with its Envoy.
type Plane struct {
	*Process
	API   string // http://host:port
	State string // folder

	binary string
}

// PlaneConfig says how to start one.
type PlaneConfig struct {
	Binary string // sluice
	Envoy  string // executable; empty: --envoy none
	Routes string // file or folder of manifests
	State  string // folder
	Logs   string // folder
	Name   string // of the process; default "sluice"
	Args   []string
}

// StartPlane starts a control plane and returns when it is ready: its manifests
// are served and, if it has an Envoy, that has taken them.
func StartPlane(ctx context.Context, c PlaneConfig) (*Plane, error) {
	if c.Name == "" {
		c.Name = "sluice"
	}
	args := []string{"run", "-f", c.Routes, "--state", c.State, "--http-address", "127.0.0.1:0"}
	var env []string
	if c.Envoy != "" {
		args = append(args, "--envoy", "auto", "--envoy-workers", "1")
		env = append(env, "ENVOY_BIN="+c.Envoy)
	}
	// A folder that is used again names the address of the process before.
	file := filepath.Join(c.State, "run.json")
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	p, err := Start(Command{Name: c.Name, Path: c.Binary, Args: append(args, c.Args...), Env: env, Logs: c.Logs})
	if err != nil {
		return nil, err
	}
	plane := &Plane{Process: p, State: c.State, binary: c.Binary}
	if err := plane.await(ctx, file); err != nil {
		return nil, errors.Join(err, plane.End(ctx, startGrace))
	}
	return plane, nil
}

// startGrace is what a control plane gets to end in that did not get ready.
const startGrace = 10 * time.Second

// await returns when the control plane serves. It says where in a file.
func (p *Plane) await(ctx context.Context, file string) error {
	text, err := p.ReadFile(ctx, file)
	if err != nil {
		return err
	}
	var run struct {
		API string `json:"api"`
	}
	if err := json.Unmarshal([]byte(text), &run); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	p.API = run.API
	return p.Await(ctx, "is ready", func() error { return ask(run.API + "/readyz") })
}

// Client talks to the control plane.
func (p *Plane) Client() *api.Client { return api.NewClient(p.API) }

// End stops the control plane, which ends its Envoy. An Envoy that was left
// behind all the same is ended, too. It does so even if ctx has ended.
func (p *Plane) End(ctx context.Context, grace time.Duration) error {
	return errors.Join(p.Stop(grace), Down(ctx, p.binary, p.State))
}

// Down ends the Envoy that a control plane, now dead, left on a state folder. It
// is no error if there is none. It does so even if ctx has ended.
func Down(ctx context.Context, sluice, state string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	down := exec.CommandContext(ctx, sluice, "down", "--state", state, "--drain", "0s", "--grace", "1s")
	if out, err := down.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: down: %w: %s", state, err, out)
	}
	return nil
}

// Replace writes a file whole: a reader sees the old or the new, never half.
func Replace(path string, content []byte) error {
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d", filepath.Base(path), time.Now().UnixNano()))
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

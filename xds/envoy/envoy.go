// Package envoy finds an Envoy, starts it and minds it: it brings it back when it
// dies, drains it when it should stop, and finds it again when this process was
// killed and the Envoy was not. It tells Envoy nothing about traffic; that is
// xds/ads.
//
// Start reading at Minder.Run. Linux only: a process is told from a later one
// with the same id by /proc.
package envoy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/xds"
)

const (
	backoffBase = 100 * time.Millisecond
	backoffMax  = 5 * time.Second
	// settled is how long an Envoy must live for the next back-off to start anew.
	settled = 10 * time.Second
	// glance is how often a process or its admin interface is looked at.
	glance = 50 * time.Millisecond
)

// Config of a Minder.
type Config struct {
	Binary Binary // of Find. Required.
	Folder Folder // of Open. Required.
	// Bootstrap of the Envoy. Addresses that are empty are the Folder's sockets.
	Bootstrap xds.BootstrapConfig
	// Workers is Envoy's number of worker threads. Default: one per core.
	Workers int
	// Drain is how long a stopping Envoy still takes new connections, asking their
	// clients to go elsewhere. Default 5s; it ends at once when no client is left.
	Drain time.Duration
	// Grace is how long a stopping Envoy waits after Drain for requests under way.
	// Default 30s.
	Grace time.Duration
	// Notify is told every change of Status, by the goroutine of Run. Optional.
	Notify func(Status)
	// Log. Default: none.
	Log *slog.Logger
}

// Status says how the Envoy is.
type Status struct {
	PID      int // 0: it does not run
	Ready    bool
	Adopted  bool      // it was there before this Minder
	Since    time.Time // it runs, or has died
	Restarts int
	Err      string // what it last died of, or why it cannot be started
}

// Minder keeps one Envoy running.
type Minder struct {
	cfg       Config
	bootstrap []byte
	admin     admin

	mu     sync.Mutex
	status Status
}

// New checks cfg. It starts nothing.
func New(cfg Config) (*Minder, error) {
	if cfg.Binary.Path == "" || cfg.Folder.Dir == "" {
		return nil, errors.New("envoy: Binary and Folder must be given")
	}
	setDefaults(&cfg)
	bootstrap, err := xds.Bootstrap(cfg.Bootstrap)
	if err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	return &Minder{cfg: cfg, bootstrap: bootstrap, admin: newAdmin(cfg.Folder.Admin())}, nil
}

func setDefaults(cfg *Config) {
	b := &cfg.Bootstrap
	if b.XDSAddress == "" {
		b.XDSAddress = cfg.Folder.XDS()
	}
	if len(b.ALSAddresses) == 0 {
		b.ALSAddresses = []string{cfg.Folder.ALS()}
	}
	b.AdminAddress = cfg.Folder.Admin()
	if cfg.Drain == 0 {
		cfg.Drain = 5 * time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Status) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
}

// Status says how the Envoy is now.
func (m *Minder) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

func (m *Minder) note(change func(*Status)) {
	m.mu.Lock()
	change(&m.status)
	status := m.status
	m.mu.Unlock()
	m.cfg.Notify(status)
}

// Run adopts the Envoy that an earlier run left in the Folder, or starts one,
// and brings it back whenever it dies. When ctx ends, Run drains the Envoy,
// stops it and returns; a killed process leaves it running.
func (m *Minder) Run(ctx context.Context) error {
	wait := backoffBase
	for get := m.adopt; ctx.Err() == nil; get = m.start {
		p, err := get(ctx)
		began := time.Now()
		if err == nil {
			err = m.mind(ctx, p)
		}
		if ctx.Err() != nil {
			return m.stop(context.WithoutCancel(ctx), p)
		}
		m.cfg.Log.Warn("envoy died", "error", err, "retry", wait)
		m.note(func(s *Status) {
			*s = Status{Restarts: s.Restarts + 1, Since: time.Now(), Err: err.Error()}
		})
		if time.Since(began) > settled {
			wait = backoffBase
		}
		sleep(ctx, wait)
		wait = min(2*wait, backoffMax)
	}
	return nil
}

// adopt gives the Envoy that runs already, if it runs on the wanted bootstrap,
// and otherwise a new one.
func (m *Minder) adopt(ctx context.Context) (process, error) {
	p, ok := running(m.cfg.Folder)
	if !ok || p.Bootstrap != digest(m.bootstrap) {
		return m.start(ctx)
	}
	m.cfg.Log.Info("envoy adopted", "pid", p.PID)
	m.note(func(s *Status) { s.PID, s.Adopted, s.Since = p.PID, true, time.Now() })
	return p, nil
}

// start gives a new Envoy. One that runs on the folder is ended first.
func (m *Minder) start(ctx context.Context) (process, error) {
	if p, ok := running(m.cfg.Folder); ok {
		m.cfg.Log.Info("envoy is replaced", "pid", p.PID)
		// What it serves is drained even if ctx ends meanwhile: then no other follows.
		if err := end(context.WithoutCancel(ctx), m.admin, p, m.cfg.Drain, m.cfg.Grace); err != nil {
			return process{}, err
		}
		if ctx.Err() != nil {
			return process{}, ctx.Err()
		}
	}
	if err := os.WriteFile(m.cfg.Folder.bootstrap(), m.bootstrap, 0o600); err != nil {
		return process{}, err
	}
	p, err := start(m.cfg, digest(m.bootstrap))
	if err != nil {
		return process{}, err
	}
	m.cfg.Log.Info("envoy started", "pid", p.PID, "binary", m.cfg.Binary.Path, "version", m.cfg.Binary.Version)
	m.note(func(s *Status) { s.PID, s.Adopted, s.Since = p.PID, false, time.Now() })
	return p, nil
}

// mind returns when p has died or ctx has ended.
func (m *Minder) mind(ctx context.Context, p process) error {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for ready := false; ; {
		if !p.alive() {
			return fmt.Errorf("pid %d: is gone; its last words: %s", p.PID, lastWords(m.cfg.Folder.Log()))
		}
		if !ready && m.admin.ready(ctx) == nil {
			ready = true
			m.cfg.Log.Info("envoy ready", "pid", p.PID)
			m.note(func(s *Status) { s.Ready, s.Err = true, "" })
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.gone:
		case <-tick.C:
		}
	}
}

// stop drains and ends p.
func (m *Minder) stop(ctx context.Context, p process) error {
	if p.PID == 0 {
		return nil
	}
	m.cfg.Log.Info("envoy drains", "pid", p.PID)
	err := end(ctx, m.admin, p, m.cfg.Drain, m.cfg.Grace)
	m.note(func(s *Status) { *s = Status{Restarts: s.Restarts, Since: time.Now()} })
	m.cfg.Log.Info("envoy stopped", "pid", p.PID)
	return errors.Join(err, os.Remove(m.cfg.Folder.pid()))
}

// Down drains and ends the Envoy that a run left in a state folder, and says
// whether there was one.
func Down(ctx context.Context, f Folder, drain, grace time.Duration) (bool, error) {
	p, ok := running(f)
	if !ok {
		return false, nil
	}
	if err := end(ctx, newAdmin(f.Admin()), p, drain, grace); err != nil {
		return true, err
	}
	if err := os.Remove(f.pid()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return true, err
	}
	return true, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/analysis/prom"
	"github.com/sluice-dev/sluice/analysis/tap"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/filestore"
	"github.com/sluice-dev/sluice/canary/probe"
	"github.com/sluice-dev/sluice/canary/review/archive"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/config/file"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// newPlane builds leaves before their users. What is wrong in the manifests or
// the state folder is said now, before anything runs.
func newPlane(ctx context.Context, o runOptions, out, errOut io.Writer) (p *plane, err error) {
	p = &plane{options: o, out: out, configured: make(chan struct{})}
	if p.log, err = newLog(errOut, o.logLevel); err != nil {
		return nil, err
	}
	manifests, err := file.Load(o.manifests)
	if err != nil {
		return nil, err
	}
	if p.folder, err = envoy.Open(o.state); err != nil {
		return nil, err
	}
	if p.store, err = filestore.Open(filepath.Join(p.folder.Dir, stateFile)); err != nil {
		return nil, err
	}
	if err := p.readable(manifests); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	if p.tracing, err = newTracing(ctx); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	if err := p.assemble(ctx); err != nil {
		return nil, errors.Join(err, p.close()) //nolint:contextcheck // ctx may have ended
	}
	return p, nil
}

// readable says whether the state of every inference route can be read. Without
// it a proxy that serves on would be told to serve nothing.
func (p *plane) readable(c *config.Config) error {
	var errs []error
	for _, r := range c.Routes {
		if _, _, err := p.store.Load(r.Key); err != nil {
			errs = append(errs, fmt.Errorf("state of %s: %w; nothing was changed, and an Envoy that serves goes on", r.Key, err))
		}
	}
	return errors.Join(errs...)
}

func (p *plane) assemble(ctx context.Context) (err error) {
	if p.discovery, err = ads.New(ads.Config{Notify: p.heard, Log: p.log, Ports: p.readPorts(), Keep: p.keepPorts}); err != nil {
		return err
	}
	p.publisher = newPublisher(p.discovery)
	p.archive, err = archive.New(archive.Config{
		Folder: filepath.Join(p.folder.Dir, "reviews"), Log: p.store, Keep: p.options.keepReviews, Slog: p.log,
		Current: func(k config.Key) (controller.Snapshot, bool) { return p.manager.Snapshot(k) },
	})
	if err != nil {
		return err
	}
	p.manager, err = controller.NewManager(controller.ManagerConfig{
		Store: p.store, Publisher: p.publisher, Recorder: p, Notifier: p, Log: p.log,
	})
	if err != nil {
		return err
	}
	if p.poller, err = prom.New(prom.Config{Rollouts: measured{p.manager}}); err != nil {
		return err
	}
	seen := newSightings(p.manager, time.Now)
	if p.logs, err = accesslog.New(accesslog.Config{Sink: seen}); err != nil {
		return err
	}
	if p.tap, err = tap.New(tap.Config{Sink: p.manager}); err != nil {
		return err
	}
	if p.prober, err = probe.New(probe.Config{Report: p.probed}); err != nil {
		return err
	}
	if p.source, err = file.New(file.Config{Path: p.options.manifests, Deliver: p.deliver}); err != nil {
		return err
	}
	if p.minder, err = p.newMinder(ctx); err != nil {
		return err
	}
	p.web, err = api.New(api.Config{
		Controller: p.manager, Archive: p.archive, Outcomes: p.manager, Ready: p.ready, Log: p.log,
		Proxies: func() any { return viewsOf(p.discovery.Proxies(), seen, p.manager.Snapshots()) },
		Metrics: metricsHandler(newExporter(p.manager.Snapshots, p.logs.Counts)),
	})
	return err
}

// newMinder finds the Envoy that was asked for. Nil when none was.
func (p *plane) newMinder(ctx context.Context) (*envoy.Minder, error) {
	if p.options.envoy == envoyNone {
		return nil, nil //nolint:nilnil // none was asked for
	}
	binary, err := envoy.Find(ctx, fetched())
	if err != nil {
		return nil, err
	}
	return envoy.New(envoy.Config{
		Binary: binary, Folder: p.folder, Workers: p.options.envoyWorkers,
		Drain: p.options.drain, Grace: p.options.grace, Log: p.log,
		Bootstrap: xds.BootstrapConfig{NodeID: p.options.node},
	})
}

func newLog(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// deliver brings an edit of the manifests into force, or says why not. What is under
// way when ctx ends is left: those who would take it may have ended before.
func (p *plane) deliver(ctx context.Context, u file.Update) {
	if u.Err != nil {
		p.log.Error("manifests refused; the configuration before stays in force", "error", u.Err)
		p.manager.Refuse(u.Err)
		return
	}
	p.publisher.edit(u.Config.Policies)
	refused := p.manager.Configure(ctx, u.Config)
	p.publisher.edited()
	if ctx.Err() != nil {
		return // half of it must not pass for the first configuration
	}
	if refused != nil {
		p.log.Error("some inference routes keep their configuration before", "error", refused)
	}
	if err := p.prober.Configure(ctx, p.inForce()); err != nil {
		return // ctx has ended
	}
	select {
	case <-p.configured:
	default:
		close(p.configured)
		p.welcome(u.Config)
	}
}

// inForce is what the inference routes run on: an edit that one of them refused
// is not in it.
func (p *plane) inForce() *config.Config {
	c := &config.Config{}
	for _, s := range p.manager.Snapshots() {
		c.Routes = append(c.Routes, config.InferenceRoute{Key: s.State.Route, RouteSpec: s.Route})
	}
	return c
}

// welcome prints what a person can do now.
func (p *plane) welcome(c *config.Config) {
	for _, r := range c.Routes {
		fmt.Fprintf(p.out, "%s: %s\n", r.Key, example(r.RouteSpec))
	}
}

// heard passes on what discovery heard of proxies.
func (p *plane) heard(e ads.Event) {
	p.tracing.Heard(e)
	switch e := e.(type) {
	case ads.Acked:
		p.manager.Acked(e.Route, canary.Acked{At: e.At, Epoch: e.Epoch, Proxies: e.Proxies, Refused: e.Refused})
	case ads.Nacked:
		p.log.Error("proxy refused", "proxy", e.Proxy, "route", e.Route.String(), "epoch", e.Epoch, "text", e.Text)
		p.manager.Nacked(e.At, e.Route, e.Proxy, e.Epoch, e.Text)
	case ads.TimedOut:
		p.log.Warn("proxies do not answer", "proxies", e.Proxies, "route", e.Route.String(), "epoch", e.Epoch)
		p.manager.TimedOut(e.Route, e.Proxies)
	case ads.Connected:
		p.manager.Connected(e.Proxy)
	case ads.Disconnected:
		p.manager.Disconnected(e.At, e.Proxy)
	}
}

func (p *plane) probed(r probe.Readiness) {
	if r.Checked {
		p.manager.Resized(r.At, r.Route, r.Version, r.Ready, r.Total, r.Fact)
	}
}

// Record logs, traces and archives a decision.
func (p *plane) Record(d canary.Decision, s controller.Snapshot) {
	p.log.Info("decided", "route", d.Route.String(), "rollout", d.Rollout, "seq", d.Seq, "event", d.Event, "actor", d.Actor,
		"text", d.Text, "from", d.From.Phase, "to", d.To.Phase, "weight", d.To.Weight, "epoch", d.Split.Epoch)
	p.tracing.Record(d, s)
	p.archive.Record(d, s)
}

// Notify logs what people may want to act on.
func (p *plane) Notify(n canary.Notice) {
	p.log.Info("notice", "kind", n.Kind, "route", n.Route.String(), "rollout", n.Rollout, "text", n.Text)
}

// fetched is where `make parts` puts an Envoy, seen from the binary in bin/.
func fetched() string {
	executable, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(executable), "..", ".cache", "parts", "envoy", "envoy")
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/analysis/prom"
	"github.com/sluice-dev/sluice/analysis/tap"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/filestore"
	"github.com/sluice-dev/sluice/canary/probe"
	"github.com/sluice-dev/sluice/canary/review/archive"
	"github.com/sluice-dev/sluice/config/file"
	"github.com/sluice-dev/sluice/xds/ads"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// plane is a control plane put together: what each part is given of the others.
type plane struct {
	options runOptions
	log     *slog.Logger
	out     io.Writer

	folder    envoy.Folder
	store     *filestore.Store
	discovery *ads.Server
	publisher *publisher
	manager   *controller.Manager
	logs      *accesslog.Server
	tap       *tap.Server
	archive   *archive.Archive
	poller    *prom.Poller
	prober    *probe.Prober
	source    *file.Source
	minder    *envoy.Minder // nil without --envoy
	tracing   *tracing      // nil without an OTLP endpoint
	web       *api.Server

	configured chan struct{} // closed when the first config is in force
}

// runControlPlane runs until ctx ends or a part fails.
//
// The front (manifests, probes, Envoy) ends first; the back (discovery, logs,
// controllers, API) goes on until that Envoy has drained, so that its last
// requests are still counted.
func runControlPlane(ctx context.Context, o runOptions, out, errOut io.Writer) (err error) {
	p, err := newPlane(ctx, o, out, errOut)
	if err != nil {
		return failure(ignoreCanceled(err))
	}
	//nolint:contextcheck // what is closed when ctx has ended needs another
	defer func() { err = errors.Join(err, failure(p.close())) }()

	backCtx, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	back, backCtx := errgroup.WithContext(backCtx)
	if err := p.startBack(backCtx, back); err != nil {
		stopBack()
		return failure(errors.Join(err, ignoreCanceled(back.Wait())))
	}
	front, frontCtx := errgroup.WithContext(ctx)
	context.AfterFunc(backCtx, func() { front.Go(func() error { return context.Cause(backCtx) }) })
	p.startFront(frontCtx, front)
	frontErr := ignoreCanceled(front.Wait())
	p.log.Info("stops")
	stopBack()
	return failure(errors.Join(frontErr, ignoreCanceled(back.Wait())))
}

// ignoreCanceled: being asked to stop is no failure.
func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// startBack opens every listener but discovery's, which waits for the first
// config, and leaves run.json for the command line.
func (p *plane) startBack(ctx context.Context, g *errgroup.Group) error {
	httpListener, err := listen(p.options.httpAddress)
	if err != nil {
		return fmt.Errorf("--http-address: %w", err)
	}
	logListener, err := listen(p.folder.ALS())
	if err != nil {
		return err
	}
	g.Go(func() error { return serveHTTP(ctx, p.web.Handler(), httpListener) })
	g.Go(func() error { return serveGRPC(ctx, p.logServer(), logListener) })
	g.Go(func() error { return p.discovery.Run(ctx) })
	g.Go(func() error { return p.manager.Run(ctx) })
	g.Go(func() error { return p.archive.Run(ctx) })
	g.Go(func() error { return p.poller.Run(ctx) })
	g.Go(func() error { return p.serveDiscovery(ctx) })
	return p.announce(httpListener.Addr())
}

func (p *plane) startFront(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return p.source.Run(ctx) })
	g.Go(func() error { return p.prober.Run(ctx) })
	if p.minder != nil {
		g.Go(func() error { return p.minder.Run(ctx) })
	}
}

// logServer takes access logs, load reports and answers to copies.
func (p *plane) logServer() *grpc.Server {
	s := grpc.NewServer(append(ads.Options(), accesslog.Options()...)...)
	p.logs.Register(s)
	p.tap.Register(s)
	return s
}

// serveDiscovery waits until every inference route of the first config has its
// split, so that a proxy which comes back is not sent half of what it holds.
func (p *plane) serveDiscovery(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.configured:
	}
	if err := p.publisher.open(); err != nil {
		p.log.Error("some inference routes are not served", "error", err)
	}
	addresses := []string{p.folder.XDS()}
	if p.options.xdsAddress != "" {
		addresses = append(addresses, p.options.xdsAddress)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, address := range addresses {
		l, err := listen(address)
		if err != nil {
			return err
		}
		s := p.logServer()
		p.discovery.Register(s)
		g.Go(func() error { return serveGRPC(ctx, s, l) })
	}
	return g.Wait()
}

// announce tells people and the command line where the API is.
func (p *plane) announce(address net.Addr) error {
	run := runFile{PID: os.Getpid(), API: "http://" + address.String()}
	data, err := json.Marshal(run)
	if err != nil {
		return err
	}
	p.log.Info("serves", "api", run.API, "state", p.folder.Dir, "version", versionText())
	return replaceFile(filepath.Join(p.folder.Dir, runFileName), data)
}

// ready is nil when the control plane serves, and its Envoy, if it has one, does.
func (p *plane) ready() error {
	select {
	case <-p.configured:
	default:
		return errors.New("no valid manifests yet")
	}
	if p.minder == nil {
		return nil
	}
	status := p.minder.Status()
	if !status.Ready {
		return fmt.Errorf("envoy is not ready: pid %d, %d restarts, %s", status.PID, status.Restarts, status.Err)
	}
	if len(p.discovery.Proxies()) == 0 {
		return errors.New("envoy is not connected to discovery yet")
	}
	for _, s := range p.manager.Snapshots() {
		if s.State.Acked == 0 && s.State.Nack == nil {
			return fmt.Errorf("%s: no split was acknowledged yet", s.State.Route)
		}
	}
	return nil
}

// close lets go of what was opened.
func (p *plane) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	removed := os.Remove(filepath.Join(p.folder.Dir, runFileName))
	if errors.Is(removed, os.ErrNotExist) {
		removed = nil // it ends before it has served
	}
	return errors.Join(removed, p.tracing.Close(ctx), p.store.Close())
}

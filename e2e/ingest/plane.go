package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

func filetype() config.Key { return config.Key{Namespace: "ml", Name: "filetype"} }

// plane is what takes entries in `sluice run`, in the middle of a rollout.
type plane struct {
	manager *controller.Manager
	stop    func()
}

// newPlane runs a control plane with a rollout at half the traffic, and gives the
// epoch of that split.
func newPlane(ctx context.Context, socket string) (*plane, uint64, error) {
	p := &plane{}
	manager, err := controller.NewManager(controller.ManagerConfig{Store: nowhere{}, Publisher: acknowledging{p}})
	if err != nil {
		return nil, 0, err
	}
	logs, err := accesslog.New(accesslog.Config{Sink: manager})
	if err != nil {
		return nil, 0, err
	}
	p.manager = manager
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = manager.Run(ctx) }) // it ends by being stopped
	stop, err := serve(socket, accesslog.Options(), logs.Register)
	if err != nil {
		cancel()
		return nil, 0, err
	}
	p.stop = func() {
		stop()
		cancel()
		running.Wait()
	}
	epoch, err := p.begin(ctx)
	if err != nil {
		p.stop()
	}
	return p, epoch, err
}

// serve runs a gRPC service on a unix socket until it is stopped.
func serve(socket string, options []grpc.ServerOption, register func(grpc.ServiceRegistrar)) (stop func(), err error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	g := grpc.NewServer(options...)
	register(g)
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(listener) }) // it ends by being stopped
	return func() { g.Stop(); running.Wait() }, nil
}

// begin configures an inference route, and then asks for another version.
func (p *plane) begin(ctx context.Context) (uint64, error) {
	for _, version := range []string{"v1", "v2"} {
		p.manager.Resized(time.Now(), filetype(), version, 1, 1, "")
	}
	for _, target := range []string{"v1", "v2"} {
		if err := p.manager.Configure(ctx, manifest(target)); err != nil {
			return 0, err
		}
	}
	var epoch uint64
	err := p.await(ctx, "a step", func(s controller.Snapshot) bool {
		epoch = s.State.Published.Epoch
		return s.State.Phase() == canary.Stepping && s.State.Acked == epoch && s.State.Published.Weight("v2") > 0
	})
	return epoch, err
}

func manifest(target string) *config.Config {
	r := config.InferenceRoute{Key: filetype(), RouteSpec: config.RouteSpec{
		Hostnames: []string{"filetype.ml"}, Listener: config.Listener{Port: 8080},
		Versions: []config.Version{
			{Name: "v1", Endpoints: []string{"10.0.0.7:8000"}},
			{Name: "v2", Endpoints: []string{"10.0.0.7:8001"}},
		},
		InitialStable: "v1", Target: target,
		Strategy: config.Strategy{Canary: &config.Canary{Steps: []config.Step{{Weight: config.PerMillion / 2, For: config.Duration(24 * time.Hour)}}}},
		Analysis: config.Analysis{Policy: config.DefaultPolicy},
	}}
	return &config.Config{Routes: []config.InferenceRoute{r}}
}

// await polls until it is so.
func (p *plane) await(ctx context.Context, what string, so func(controller.Snapshot) bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, _ := p.manager.Snapshot(filetype())
		if so(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; phase %s, waits %v", what, ctx.Err(), s.State.Phase(), s.Waits)
		case <-tick.C:
		}
	}
}

// counted is how many requests the rollout has seen, ever.
func counted(s controller.Snapshot) int64 {
	if len(s.Traces) == 0 {
		return 0
	}
	return s.Traces[0].Stable.Requests + s.Traces[0].Candidate.Requests
}

// nowhere is a store that keeps nothing.
type nowhere struct{}

func (nowhere) Load(config.Key) (c canary.Checkpoint, ok bool, err error) { return c, false, nil }

func (nowhere) Save(canary.Checkpoint, []canary.Decision) error { return nil }

// acknowledging is a fleet of two proxies that take every split at once.
type acknowledging struct{ *plane }

func (a acknowledging) Publish(r config.InferenceRoute, s config.Split) error {
	go a.manager.Acked(r.Key, canary.Acked{At: time.Now(), Epoch: s.Epoch, Proxies: 2}) // its mailbox may be full
	return nil
}

func (acknowledging) Withdraw(config.Key) {}

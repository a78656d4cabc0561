package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/e2e/cpu"
	"github.com/sluice-dev/sluice/xds/ads"
)

// server is one kind of control plane.
type server interface {
	// Register it with a gRPC server.
	Register(g *grpc.Server)
	// Edit gives the edited table the weights of an edit.
	Edit(edit int) error
	// Run until ctx is done.
	Run(ctx context.Context) error
}

func newServer(kind string, w world) (server, error) {
	switch kind {
	case "raw":
		return newRaw(w)
	case "linear":
		return newLinear(w)
	case "snapshot":
		return newSnapshot(w)
	case "sluice":
		return newSluice(w)
	}
	return nil, fmt.Errorf("kind %q: is not raw, linear, snapshot or sluice", kind)
}

// host runs a server on a unix socket until stop is called.
func host(s server, socket string) (stop func(), err error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	g := grpc.NewServer(ads.Options()...)
	s.Register(g)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(listener) })
	running.Go(func() { _ = s.Run(ctx) })
	return func() {
		cancel()
		g.Stop()
		running.Wait()
	}, nil
}

// usage is what a server process has used.
type usage struct {
	CPU time.Duration `json:"cpu"` // ever
	RSS int64         `json:"rss"` // bytes, now
}

// serve is the role of a server's process: it does what it is told, a line each,
// and answers each with its usage.
func (o options) serve(context.Context) error {
	routes, err := strconv.Atoi(o.routes)
	if err != nil {
		return err
	}
	s, err := newServer(o.kind, newWorld(routes)) //nolint:contextcheck // it lives as long as its process
	if err != nil {
		return err
	}
	stop, err := host(s, o.socket) //nolint:contextcheck // likewise
	if err != nil {
		return err
	}
	defer stop()
	if o.profile != "" {
		file, err := os.Create(filepath.Join(o.profile, fmt.Sprintf("%s-%d.pprof", o.kind, routes)))
		if err != nil {
			return err
		}
		defer file.Close()
		defer pprof.StopCPUProfile()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
	}
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		verb, argument, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "edit":
			edit, err := strconv.Atoi(argument)
			if err != nil {
				return err
			}
			if err := s.Edit(edit); err != nil {
				return err
			}
		case "collect":
			runtime.GC()
		}
		u, err := ownUsage()
		if err != nil {
			return err
		}
		if err := out.Encode(u); err != nil {
			return err
		}
	}
	return nil
}

func ownUsage() (usage, error) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return usage{}, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		return usage{}, err
	}
	return usage{CPU: cpu.Used(), RSS: pages * int64(os.Getpagesize())}, nil
}

// Package envoy tells stories about the real Envoy: what is published is served,
// stamped, refused or survived as xds, xds/ads and xds/envoy promise. This file
// is the stage; the stories are the tests. A missing Envoy is an error.
package envoy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// patience bounds every wait: a story that needs longer has failed.
const patience = 20 * time.Second

// Stage is a control plane and one Envoy beside it.
type Stage struct {
	t      testing.TB
	Dir    string // short enough for unix sockets
	Port   uint32 // of Envoy's listener
	Server *ads.Server

	mu     sync.Mutex
	events []ads.Event
	news   chan struct{}
}

// NewStage starts a control plane on a unix socket and an Envoy that knows it.
func NewStage(t testing.TB, tune ...func(*ads.Config)) *Stage {
	t.Helper()
	s := &Stage{t: t, Dir: shortDir(t), Port: freePort(t), news: make(chan struct{}, 1)}
	cfg := ads.Config{Notify: s.note}
	for _, f := range tune {
		f(&cfg)
	}
	server, err := ads.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = server
	s.serve()
	s.startEnvoy()
	return s
}

func (s *Stage) serve() {
	listener, err := net.Listen("unix", s.path("xds.sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Server.Register(g)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Server.Run(ctx) })
	running.Go(func() { _ = g.Serve(listener) })
	s.t.Cleanup(func() {
		cancel()
		g.Stop()
		running.Wait()
	})
}

func (s *Stage) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Stage) startEnvoy() {
	bootstrap, err := xds.Bootstrap(xds.BootstrapConfig{
		NodeID: "envoy-1", XDSAddress: s.path("xds.sock"), AdminAddress: s.path("admin.sock"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path("envoy.json"), bootstrap, 0o600); err != nil {
		s.t.Fatal(err)
	}
	log, err := os.Create(s.path("envoy.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(parts.Envoy(s.t), "-c", s.path("envoy.json"), "--concurrency", "2", "--use-dynamic-base-id", "-l", "info")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		log.Close()
		if s.t.Failed() {
			s.t.Log(tail(s.path("envoy.log")))
		}
	})
}

func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (s *Stage) note(e ads.Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Await waits for an event of type E that is wanted, whenever it was.
func Await[E ads.Event](s *Stage, what string, wanted func(E) bool) E {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		s.mu.Lock()
		for _, e := range s.events {
			if e, ok := e.(E); ok && wanted(e) {
				s.mu.Unlock()
				return e
			}
		}
		s.mu.Unlock()
		select {
		case <-s.news:
		case <-timeout:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("%s: did not happen within %v; events: %+v", what, patience, s.events)
		}
	}
}

// Acked waits until Envoy has taken an epoch of a route.
func (s *Stage) Acked(k config.Key, epoch uint64) {
	s.t.Helper()
	Await(s, fmt.Sprintf("ack of %s@%d", k, epoch), func(e ads.Acked) bool { return e.Route == k && e.Epoch == epoch })
}

// Publish must be accepted.
func (s *Stage) Publish(cfg *config.Config, splits map[config.Key]config.Split) {
	s.t.Helper()
	if err := s.Server.Publish(cfg, splits); err != nil {
		s.t.Fatal(err)
	}
}

// Get asks Envoy for a path of a host and gives the answer and its body.
func (s *Stage) Get(host, path string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.Port, path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(body)
}

// Model is a version that answers every request with its name.
func Model(t testing.TB, name string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "sluice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func freePort(t testing.TB) uint32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint32(l.Addr().(*net.TCPAddr).Port)
}

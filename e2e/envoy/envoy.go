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
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/e2e/stage"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// patience bounds every wait: a story that needs longer has failed.
const patience = 20 * time.Second

// Stage is a control plane and one minded Envoy beside it.
type Stage struct {
	t      testing.TB
	Port   uint32 // of Envoy's listener
	Folder envoy.Folder
	Server *ads.Server
	Minder *envoy.Minder

	control *backstage
	proxy   *backstage

	mu     sync.Mutex
	events []ads.Event
	news   chan struct{}
	health chan struct{} // of the minded Envoy; made by StartEnvoy
}

// backstage is something that runs and is waited for.
type backstage struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func (b *backstage) run(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.running.Go(func() { _ = run(ctx) })
}

func (b *backstage) stop() {
	if b != nil {
		b.cancel()
		b.running.Wait()
	}
}

// Tune changes a stage before it opens.
type Tune struct {
	ADS       func(*ads.Config)
	Bootstrap func(*xds.BootstrapConfig)
}

// NewStage opens a control plane on a unix socket and an Envoy that knows it.
func NewStage(t testing.TB, tunes ...Tune) *Stage {
	t.Helper()
	folder, err := envoy.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &Stage{t: t, Port: freePort(t), Folder: folder, news: make(chan struct{}, 1)}
	cfg := ads.Config{Notify: s.note}
	bootstrap := xds.BootstrapConfig{NodeID: "envoy-1"}
	for _, tune := range tunes {
		if tune.ADS != nil {
			tune.ADS(&cfg)
		}
		if tune.Bootstrap != nil {
			tune.Bootstrap(&bootstrap)
		}
	}
	s.StartControl(cfg)
	s.StartEnvoy(bootstrap)
	t.Cleanup(func() {
		s.proxy.stop()
		s.control.stop()
		if t.Failed() {
			t.Log(tail(s.Folder.Log()))
		}
	})
	return s
}

// StartControl opens a control plane that knows nothing yet.
func (s *Stage) StartControl(cfg ads.Config) {
	s.t.Helper()
	listener, server := s.newControl(cfg)
	s.serveControl(server, func(g *grpc.Server) error { return g.Serve(listener) })
}

func (s *Stage) newControl(cfg ads.Config) (net.Listener, *ads.Server) {
	s.t.Helper()
	listener, err := envoy.Listen(s.Folder.XDS())
	if err != nil {
		s.t.Fatal(err)
	}
	server, err := ads.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return listener, server
}

func (s *Stage) serveControl(server *ads.Server, serve func(*grpc.Server) error, more ...grpc.ServerOption) {
	s.Server = server
	g := grpc.NewServer(append(ads.Options(), more...)...)
	server.Register(g)
	s.control = &backstage{}
	s.control.running.Go(func() { _ = serve(g) })
	s.control.run(func(ctx context.Context) error {
		defer g.Stop()
		return server.Run(ctx)
	})
}

// StopControl ends the control plane as a crash would: nobody is told.
func (s *Stage) StopControl() { s.control.stop() }

// StartEnvoy minds an Envoy.
func (s *Stage) StartEnvoy(bootstrap xds.BootstrapConfig) {
	s.t.Helper()
	s.health = make(chan struct{}, 1)
	minder, err := envoy.New(envoy.Config{
		Binary: envoy.Binary{Path: parts.Envoy(s.t)}, Folder: s.Folder, Bootstrap: bootstrap, Workers: 2, Drain: time.Second, Grace: 5 * time.Second,
		Notify: func(envoy.Status) { nudge(s.health) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Minder, s.proxy = minder, &backstage{}
	s.proxy.run(minder.Run)
	s.t.Cleanup(s.proxy.stop)
}

// Ready waits until the minded Envoy serves.
func (s *Stage) Ready() {
	s.t.Helper()
	timeout := time.After(patience)
	for !s.Minder.Status().Ready {
		select {
		case <-s.health:
		case <-timeout:
			s.t.Fatalf("envoy is not ready within %v: %+v", patience, s.Minder.Status())
		}
	}
}

// StopEnvoy drains and ends it.
func (s *Stage) StopEnvoy() { s.proxy.stop() }

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
	nudge(s.news)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
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

// Request for a path of a host, at Envoy.
func (s *Stage) Request(host, path string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.Port, path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	return req
}

// Get asks Envoy for a path of a host and gives the answer and its body.
func (s *Stage) Get(host, path string) (*http.Response, string) {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(s.Request(host, path))
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

// Eventually polls for what no event tells.
func (s *Stage) Eventually(what string, happened func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !happened() {
		select {
		case <-tick.C:
		case <-timeout:
			s.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// Model is a version that answers every request with its name.
func Model(t testing.TB, name string) string {
	return Server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// Server is a version that answers as it likes.
func Server(t testing.TB, answer http.HandlerFunc) string {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func binaryOf(t testing.TB) string { return parts.Envoy(t) }

func freePort(t testing.TB) uint32 {
	port, err := stage.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Forget makes Await look only at what happens from now on.
func (s *Stage) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
}

// NobodyTimedOut fails if a proxy has been given up on.
func (s *Stage) NobodyTimedOut() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e, ok := e.(ads.TimedOut); ok {
			s.t.Errorf("%+v", e)
		}
	}
}

package plane

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// relay passes connections on to the control plane, until it is cut.
type relay struct {
	path, to string

	held     sync.RWMutex // locked: what the control plane says is held back
	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

// open accepts connections at the relay's path.
func (r *relay) open() error {
	l, err := net.Listen("unix", r.path)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.listener = l
	r.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.join(conn)
		}
	}()
	return nil
}

func (r *relay) join(from net.Conn) {
	to, err := net.Dial("unix", r.to)
	if err != nil {
		_ = from.Close()
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, from, to)
	r.mu.Unlock()
	for _, pair := range []struct {
		to   io.Writer
		from io.Reader
	}{{from, &held{to, &r.held}}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair.to, pair.from) // until either side closes
			_ = from.Close()
			_ = to.Close()
		}()
	}
}

// held is a connection whose words may be held back.
type held struct {
	net.Conn

	by *sync.RWMutex
}

// Read gives what has come when it is not held back any more.
func (h *held) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.by.RLock()
	defer h.by.RUnlock()
	return n, err
}

// hold keeps back what the control plane says, as a network that loses it would.
func (r *relay) hold() { r.held.Lock() }

// release lets everything through that was held.
func (r *relay) release() { r.held.Unlock() }

// cut closes every connection and accepts no more.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}

// newRelayedScene has an Envoy of its own, whose logs go through a relay.
func newRelayedScene(t *testing.T, limits, options string) (*scene, *relay) {
	s := newSceneWith(t, limits, options, "")
	logs := s.relay("als.sock")
	s.ownEnvoy("own", s.relay("xds.sock"), logs)
	return s, logs
}

// relay passes connections on to a socket of the control plane.
func (s *scene) relay(socket string) *relay {
	s.t.Helper()
	r := &relay{path: filepath.Join(shortDir(s.t), socket), to: filepath.Join(s.config.State, socket)}
	require.NoError(s.t, r.open())
	s.t.Cleanup(r.cut)
	return r
}

// shortDir is a folder for sockets: their paths may be 107 bytes long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plane") //nolint:usetesting // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// ownEnvoy starts an Envoy that the control plane does not mind.
func (s *scene) ownEnvoy(node string, xds, als *relay, more ...string) {
	s.t.Helper()
	dir := shortDir(s.t)
	args := append([]string{
		"bootstrap", "--node", node, "--xds", xds.path,
		"--als", als.path, "--admin", filepath.Join(dir, "admin.sock"),
	}, more...)
	bootstrap, err := exec.Command(binary, args...).Output()
	require.NoError(s.t, err)
	file := filepath.Join(dir, "envoy.json")
	require.NoError(s.t, os.WriteFile(file, bootstrap, 0o600))
	envoy, err := stage.Start(stage.Command{
		Name: "envoy-" + node, Path: parts.Envoy(s.t), Logs: s.config.Logs,
		Args: []string{"-c", file, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"},
	})
	require.NoError(s.t, err)
	s.t.Cleanup(envoy.Kill)
}

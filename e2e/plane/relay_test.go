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

// relay passes connections on to the log server, until it is cut.
type relay struct {
	path, to string

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
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // until either side closes
			_ = pair[0].Close()
			_ = pair[1].Close()
		}()
	}
}

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
	// A socket's path may be 107 bytes long.
	short, err := os.MkdirTemp("", "plane") //nolint:usetesting // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	r := &relay{path: filepath.Join(short, "als.sock"), to: filepath.Join(s.config.State, "als.sock")}
	require.NoError(t, r.open())
	t.Cleanup(r.cut)

	bootstrap, err := exec.Command(binary, "bootstrap", "--node", "own", "--xds", filepath.Join(s.config.State, "xds.sock"),
		"--als", r.path, "--admin", filepath.Join(short, "admin.sock")).Output()
	require.NoError(t, err)
	file := filepath.Join(short, "envoy.json")
	require.NoError(t, os.WriteFile(file, bootstrap, 0o600))
	envoy, err := stage.Start(stage.Command{
		Name: "envoy", Path: parts.Envoy(t), Logs: s.config.Logs,
		Args: []string{"-c", file, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"},
	})
	require.NoError(t, err)
	t.Cleanup(envoy.Kill)
	return s, r
}

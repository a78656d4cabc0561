package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/e2e/parts"
)

// model is the path of a Magika version's model.
func model(t *testing.T, version string) string {
	t.Helper()
	return filepath.Join(parts.Magika(t, version), "model.onnx")
}

// build compiles the command once per test run.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-serve")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sluice-serve")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is a running sluice-serve.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	url     string
	lines   chan string // of its log
	exited  chan error
	history []string
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	require.NoError(t, err)
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), parts.EnvONNXRuntime+"="+parts.ONNXRuntime(t))
	return cmd
}

// start runs the server with a Magika version and waits until it is ready.
func start(t *testing.T, version string, args ...string) *process {
	t.Helper()
	return startPath(t, model(t, version), append([]string{"--model-version", version}, args...)...)
}

func startPath(t *testing.T, path string, args ...string) *process {
	t.Helper()
	return launch(t, append([]string{"--model-path", path}, args...)...)
}

// startRemote runs a server before another.
func startRemote(t *testing.T, url string) *process {
	t.Helper()
	return launch(t, "--remote", url)
}

func launch(t *testing.T, args ...string) *process {
	t.Helper()
	addressFile := filepath.Join(t.TempDir(), "address")
	p := begin(t, append([]string{
		"--model-name", "magika", "--http-address", "127.0.0.1:0", "--address-file", addressFile, "--drain-delay", "200ms",
	}, args...)...)
	p.await("listening")
	address, err := os.ReadFile(addressFile)
	require.NoError(t, err)
	p.url = "http://" + strings.TrimSpace(string(address))
	p.await("ready")
	return p
}

// begin starts the command and follows its log.
func begin(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := command(t, args...)
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, lines: make(chan string, 1000), exited: make(chan error, 1)}
	go p.follow(logs)
	t.Cleanup(p.end)
	return p
}

// follow passes log lines on until the process ends.
func (p *process) follow(logs io.Reader) {
	text := json.NewDecoder(logs)
	for {
		var line map[string]any
		if err := text.Decode(&line); err != nil {
			break
		}
		p.lines <- fmt.Sprint(line["msg"])
	}
	close(p.lines)
	p.exited <- p.cmd.Wait()
	close(p.exited)
}

// await reads the log up to a message.
func (p *process) await(message string) {
	p.t.Helper()
	late := time.AfterFunc(await.Patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	for line := range p.lines {
		p.history = append(p.history, line)
		if line == message {
			return
		}
	}
	require.Fail(p.t, "the log ended", "waiting for %q: %v", message, p.history)
}

// end makes sure that the process is gone.
func (p *process) end() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
	}
	for range p.lines {
	}
	await.Next(p.t, p.exited, "the exit")
}

func (p *process) get(path string) (int, string) {
	p.t.Helper()
	r, err := http.Get(p.url + path)
	require.NoError(p.t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(p.t, err)
	return r.StatusCode, string(body)
}

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

	"github.com/stretchr/testify/require"
)

const parts = "../../.cache/parts"

// part is a fetched file's path.
func part(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(filepath.Join(parts, path))
	require.NoError(t, err)
	_, err = os.Stat(full)
	require.NoError(t, err, "run `make parts`")
	return full
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
	library := os.Getenv("ONNXRUNTIME_LIBRARY")
	if library == "" {
		library = part(t, "onnxruntime/libonnxruntime.so.1.32.0")
	}
	cmd.Env = append(os.Environ(), "ONNXRUNTIME_LIBRARY="+library)
	return cmd
}

// start runs the server with a Magika version and waits until it is ready.
func start(t *testing.T, version string, args ...string) *process {
	t.Helper()
	addressFile := filepath.Join(t.TempDir(), "address")
	cmd := command(t, append([]string{
		"--model-path", part(t, "magika/"+version+"/model.onnx"), "--model-name", "magika", "--model-version", version,
		"--http-address", "127.0.0.1:0", "--address-file", addressFile, "--drain-delay", "200ms",
	}, args...)...)
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, lines: make(chan string, 1000), exited: make(chan error, 1)}
	go p.follow(logs)
	t.Cleanup(p.end)

	p.await("listening")
	address, err := os.ReadFile(addressFile)
	require.NoError(t, err)
	p.url = "http://" + strings.TrimSpace(string(address))
	p.await("ready")
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
	<-p.exited
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

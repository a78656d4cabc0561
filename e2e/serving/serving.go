// Package serving tests and measures the inference server as its users meet it:
// the real binary with real models, behind a real Envoy and under other people's
// clients. This file is the stage; the stories are the tests.
package serving

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-dev/sluice/e2e/parts"
)

// build compiles sluice-serve once per test run.
var build = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // one binary for all stories
	dir, err := os.MkdirTemp("", "sluice-serve")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sluice-serve")
	out, err := exec.Command("go", "build", "-o", path, "github.com/sluice-dev/sluice/cmd/sluice-serve").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// Replica is a running sluice-serve.
type Replica struct {
	HTTP, GRPC string // host:port

	cmd  *exec.Cmd
	logs chan string
}

// Start runs sluice-serve and waits until it is ready.
func Start(t testing.TB, args ...string) *Replica {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	httpFile, grpcFile := filepath.Join(dir, "http"), filepath.Join(dir, "grpc")
	cmd := exec.Command(path, append([]string{
		"--onnxruntime-library", parts.ONNXRuntime(t), "--http-address", "127.0.0.1:0", "--address-file", httpFile,
		"--grpc-address", "127.0.0.1:0", "--grpc-address-file", grpcFile, "--drain-delay", "0s",
	}, args...)...)
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &Replica{cmd: cmd, logs: make(chan string, 1000)}
	go r.follow(logs)
	t.Cleanup(r.end)
	r.await(t, "ready")
	r.HTTP, r.GRPC = read(t, httpFile), read(t, grpcFile)
	return r
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (r *Replica) follow(logs io.Reader) {
	defer close(r.logs)
	for text := json.NewDecoder(logs); ; {
		var line map[string]any
		if err := text.Decode(&line); err != nil {
			return
		}
		select {
		case r.logs <- fmt.Sprint(line["msg"]):
		default: // nobody reads so far behind
		}
	}
}

func (r *Replica) await(t testing.TB, message string) {
	t.Helper()
	for line := range r.logs {
		if line == message {
			return
		}
	}
	t.Fatalf("sluice-serve ended before it was %s", message)
}

func (r *Replica) end() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// Magika are the arguments that serve a version of the model.
func Magika(t testing.TB, version string) []string {
	t.Helper()
	return []string{"--model-path", filepath.Join(parts.Magika(t, version), "model.onnx"), "--model-name", "magika", "--model-version", version}
}

// Clean removes the binary. A test run calls it at its end.
func Clean() {
	if path, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-dev/sluice/e2e/stage"
)

// system is a server under measurement, or the raw queue, which has no process.
type system struct {
	name string
	root string // of its URLs
	cmd  *exec.Cmd
	ask  asker
}

// ours says whether the system is sluice-serve, which refuses and tells overhead.
func (s *system) ours() bool { return strings.HasPrefix(s.name, "sluice") }

func freePort() (string, error) {
	port, err := stage.FreePort()
	return strconv.FormatUint(uint64(port), 10), err
}

// start runs a system's server on the servers' core and waits until it answers.
func (o options) start(ctx context.Context, name string, m *model) (*system, error) {
	s := &system{name: name}
	if name == "raw-queue" {
		return s, nil
	}
	httpPort, err := freePort()
	if err != nil {
		return nil, err
	}
	grpcPort, err := freePort()
	if err != nil {
		return nil, err
	}
	args, err := o.command(name, m, httpPort, grpcPort)
	if err != nil {
		return nil, err
	}
	s.cmd = exec.Command("taskset", append([]string{"-c", strconv.Itoa(o.core)}, args...)...)
	logs, err := os.CreateTemp("", "bench-"+name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	s.cmd.Stdout, s.cmd.Stderr = logs, logs
	s.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "PYTHONWARNINGS=ignore")
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.root = "http://127.0.0.1:" + httpPort
	infer := s.root + "/v2/models/" + m.name + "/infer"
	switch {
	case strings.HasSuffix(name, "grpc"):
		s.ask, err = grpcAsker(m, "127.0.0.1:"+grpcPort)
	case strings.HasSuffix(name, "binary"):
		s.ask, err = binaryAsker(m, infer), nil
	default:
		s.ask, err = jsonAsker(m, infer)
	}
	return s, errors.Join(err, s.awaitReady(ctx, s.root+"/v2/health/ready"))
}

func (o options) command(name string, m *model, httpPort, grpcPort string) ([]string, error) {
	kind, _, _ := strings.Cut(name, "-")
	switch kind {
	case "sluice":
		return []string{
			o.binary, "--model-path", m.path, "--model-name", m.name, "--onnxruntime-library", o.library,
			"--http-address", "127.0.0.1:" + httpPort, "--grpc-address", "127.0.0.1:" + grpcPort, "--max-batch", strconv.Itoa(m.batch),
		}, nil
	case "fastapi", "kserve":
		return []string{o.python, filepath.Join("e2e/serving/bench/peers", kind+"_server.py"), m.name, m.path, httpPort, grpcPort}, nil
	}
	return nil, fmt.Errorf("system: found %q", name)
}

func (s *system) awaitReady(ctx context.Context, url string) error {
	for range 1200 {
		r, err := http.Get(url) //nolint:gosec // our own
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s: not ready after two minutes, see its log in %s", s.name, os.TempDir())
}

// tree lists the process and its children.
func (s *system) tree() []int {
	pids := []int{s.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, file := range tasks {
			text, _ := os.ReadFile(file)
			for child := range strings.FieldsSeq(string(text)) {
				if pid, err := strconv.Atoi(child); err == nil && !slices.Contains(pids, pid) {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

func (s *system) signal(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	for _, pid := range s.tree() {
		_ = syscall.Kill(pid, sig)
	}
}

func (s *system) end() {
	if s.cmd != nil {
		s.signal(syscall.SIGKILL)
		_ = s.cmd.Wait()
	}
}

// cpu is the time its processes have used, in seconds.
func (s *system) cpu() float64 {
	const ticks = 100 // per second, on Linux
	sum := 0.0
	for _, pid := range s.tree() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if len(f) > 12 {
			user, _ := strconv.ParseFloat(f[11], 64)
			system, _ := strconv.ParseFloat(f[12], 64)
			sum += (user + system) / ticks
		}
	}
	return sum
}

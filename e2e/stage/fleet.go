package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Model is one version of a model as a server process needs it.
type Model struct {
	Path    string   // model.onnx
	Name    string   // as in the request's path
	Version string   // as in the metadata
	Faults  []string // for --inject-fault
	Seed    uint64   // of the faults
}

// Fleet is a set of model servers.
type Fleet struct {
	Binary  string // sluice-serve
	Library string // ONNX Runtime
	Folder  string // for logs and address files

	mu        sync.Mutex
	processes []*Process
	used      time.Duration
}

// Server is one running model server.
type Server struct {
	*Process
	Address string // host:port
}

// Start starts one server and returns when it is ready.
func (f *Fleet) Start(ctx context.Context, name string, m Model) (*Server, error) {
	file := filepath.Join(f.Folder, name+".address")
	args := []string{
		"--model-path", m.Path, "--model-name", m.Name, "--model-version", m.Version,
		"--http-address", "127.0.0.1:0", "--address-file", file,
		"--onnxruntime-library", f.Library, "--threads", "1",
		"--seed", strconv.FormatUint(m.Seed, 10),
	}
	for _, fault := range m.Faults {
		args = append(args, "--inject-fault", fault)
	}
	p, err := Start(Command{Name: name, Path: f.Binary, Args: args, Logs: f.Folder})
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.processes = append(f.processes, p)
	f.mu.Unlock()
	address, err := p.ReadFile(ctx, file)
	if err != nil {
		return nil, err
	}
	return &Server{p, address}, p.Await(ctx, "is ready", func() error { return ask("http://" + address + "/v2/health/ready") })
}

// ask is nil when url answers 200.
func ask(url string) error {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	_ = response.Body.Close() // only the status matters
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}

// Used is the processor time of the servers that have ended.
func (f *Fleet) Used() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}

// Stop ends every server of the fleet, at once, and waits for all.
func (f *Fleet) Stop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(f.processes))
	var all sync.WaitGroup
	for i, p := range f.processes {
		all.Go(func() {
			if err := p.Stop(15 * time.Second); err != nil {
				errs[i] = fmt.Errorf("%s: %w", p.Name, err)
			}
		})
	}
	all.Wait()
	for _, p := range f.processes {
		f.used += p.Used()
	}
	f.processes = nil
	return errors.Join(errs...)
}

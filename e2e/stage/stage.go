// Package stage sets up what demonstrations, benchmarks and end-to-end tests
// need: processes that are always ended, model servers on ports of their own,
// a control plane with its Envoy, real files as input, and open-loop load. It is
// no part of the product.
//
// Start reading at Process, then Load.
package stage

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a child that Stop or Kill ends.
type Process struct {
	Name string
	Log  string // path of its stdout and stderr

	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

// Command describes a child.
type Command struct {
	Name string   // for messages and the log file
	Path string   // executable
	Args []string // without the executable
	Env  []string // added to this process' own
	Logs string   // folder of the log file
	// Niceness is added to the child's; 0 leaves it.
	Niceness int
}

// Start runs a child in a process group of its own, so that a signal to the
// parent's group does not reach it twice. On Linux it is asked to end should the
// parent be killed.
func Start(c Command) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(c.Logs, c.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
	p := &Process{Name: c.Name, Log: log.Name(), cmd: cmd, ended: make(chan struct{})}
	if err := p.launch(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	if c.Niceness != 0 {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, c.Niceness); err != nil {
			p.Kill()
			return nil, fmt.Errorf("%s: niceness %d: %w", c.Name, c.Niceness, err)
		}
	}
	return p, nil
}

// launch starts the child on a thread that lives as long as it does: to the
// kernel that thread is the parent.
func (p *Process) launch() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.ended)
		}
	}()
	return <-started
}

// PID of the child.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the child is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop asks the child to end and kills it after grace. It returns what the
// child ended with.
func (p *Process) Stop(grace time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-p.ended:
		return p.err
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s: did not end within %v of SIGTERM", p.Name, grace)
	}
}

// Kill ends the child at once and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// Used is the processor time that the child took, with its own children that
// ended before it. Zero while it runs.
func (p *Process) Used() time.Duration {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	default:
		return 0
	}
}

// Tail is the end of the child's log, for error messages.
func (p *Process) Tail() string {
	data, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// Await polls until ready gives no error, the child ends, or ctx does. The
// error says what was missing last.
func (p *Process) Await(ctx context.Context, what string, ready func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		missing := ready()
		if missing == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s: ended before %s: %v\n%s", p.Name, what, p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w; last: %w\n%s", p.Name, what, ctx.Err(), missing, p.Tail())
		case <-ticker.C:
		}
	}
}

// ReadFile waits for a file that the child writes whole, such as its address.
func (p *Process) ReadFile(ctx context.Context, path string) (string, error) {
	var text string
	err := p.Await(ctx, path, func() error {
		data, err := os.ReadFile(path)
		text = strings.TrimSpace(string(data))
		if err == nil && text == "" {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	return text, err
}

// lowest and highest are of the ports that FreePort names. Systems give others out by
// themselves, to whoever connects or listens anywhere.
const lowest, highest = 15_000, 30_000

// FreePort names a loopback port that was free a moment ago, and that nobody is likely to
// take who did not ask for just this one.
func FreePort() (uint32, error) {
	for range 100 {
		port := lowest + rand.Uint32N(highest-lowest)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(port), 10)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("free port: none of a hundred between %d and %d", lowest, highest)
}

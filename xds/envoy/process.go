package envoy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one Envoy and, as JSON, what the next run must know of it.
type process struct {
	PID int `json:"pid"`
	// Started is the kernel's start time of the process, in clock ticks since boot:
	// a later process with the same id has another.
	Started   uint64 `json:"started"`
	Bootstrap string `json:"bootstrap"` // digest of what it was started with

	gone chan struct{} // closed when a child of ours is gone; nil: it is not our child
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// start runs an Envoy in a session of its own, so that neither a signal to this
// process' group nor its death ends it.
func start(cfg Config, bootstrap string) (process, error) {
	log, err := os.OpenFile(cfg.Folder.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return process{}, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd := exec.Command(cfg.Binary.Path, arguments(cfg)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return process{}, err
	}
	p := process{PID: cmd.Process.Pid, Bootstrap: bootstrap, gone: make(chan struct{})}
	p.Started, _, err = readStat(p.PID) // before it can be buried
	if err == nil {
		err = writePID(cfg.Folder.pid(), p)
	}
	if err != nil {
		return process{}, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	go func() {
		_ = cmd.Wait() // its log says why; this only buries it
		close(p.gone)
	}()
	return p, nil
}

func arguments(cfg Config) []string {
	args := []string{
		"-c", cfg.Folder.bootstrap(),
		"--disable-hot-restart", // it would share memory with other Envoys of the machine
		"--drain-time-s", strconv.Itoa(max(1, int(cfg.Drain/time.Second))),
		"--log-level", "warning",
	}
	if cfg.Workers > 0 {
		args = append(args, "--concurrency", strconv.Itoa(cfg.Workers))
	}
	return args
}

// writePID replaces the file in one step.
func writePID(path string, p process) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// running finds the Envoy of the folder's last run, if it lives: the one in the
// pid file, or the one behind the admin socket where the file could not be
// written in time.
func running(f Folder) (process, bool) {
	if p, err := readPID(f.pid()); err == nil && p.alive() {
		return p, true
	}
	pid, err := peerOf(f.Admin())
	if err != nil {
		return process{}, false
	}
	started, err := startTime(pid)
	return process{PID: pid, Started: started}, err == nil
}

func readPID(path string) (process, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	var p process
	if err := json.Unmarshal(data, &p); err != nil {
		return process{}, fmt.Errorf("%s: %w", path, err)
	}
	if p.PID <= 0 {
		return process{}, fmt.Errorf("%s: pid %d is none", path, p.PID)
	}
	return p, nil
}

// alive says whether the process is there and is the one that was started.
func (p process) alive() bool {
	select {
	case <-p.gone:
		return false
	default:
	}
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

// startTime says when a process started that is not dead.
func startTime(pid int) (uint64, error) {
	started, state, err := readStat(pid)
	if err == nil && (state == "Z" || state == "X") {
		err = fmt.Errorf("pid %d: is dead and not buried", pid)
	}
	return started, err
}

// readStat reads when a process started, and its state, as long as the kernel
// knows it.
func readStat(pid int) (started uint64, state string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", err
	}
	// The second field is a name in brackets that may hold anything; the third is the
	// state, the 22nd the time.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, "", fmt.Errorf("/proc/%d/stat: has no start time", pid)
	}
	started, err = strconv.ParseUint(fields[19], 10, 64)
	return started, fields[0], err
}

// end drains p, so that no request is lost that it took, and ends it: new
// connections are taken for drain, unless no client comes any more; requests
// under way get grace.
func end(ctx context.Context, a admin, p process, drain, grace time.Duration) error {
	// An admin interface that does not answer cannot drain; the signal is still right.
	if err := a.drain(ctx); err == nil {
		var open, busy calm
		until(ctx, drain, func() bool { return !p.alive() || open.after(a.traffic(ctx)) })
		until(ctx, grace, func() bool { return !p.alive() || busy.afterRequests(a.traffic(ctx)) })
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if !p.alive() {
			return nil
		}
		if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("pid %d: %v: %w", p.PID, signal, err)
		}
		until(ctx, 5*time.Second, func() bool { return !p.alive() })
	}
	if p.alive() {
		return fmt.Errorf("pid %d: lives on after %v", p.PID, syscall.SIGKILL)
	}
	return nil
}

// until polls done for at most limit.
func until(ctx context.Context, limit time.Duration, done func() bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for ctx.Err() == nil && !done() {
		sleep(ctx, glance)
	}
}

// lastWords is the end of the log.
func lastWords(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil && info.Size() > 2048 {
		if _, err := f.Seek(-2048, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

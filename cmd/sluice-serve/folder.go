package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// modelFile is the model's in each version's folder, as in Triton's and KServe's
// repositories.
const modelFile = "model.onnx"

// found is a model on disk.
type found struct {
	path, version, digest string
	size                  int64
	changed               time.Time
}

// findModel finds what --model-path means at this moment.
func (f *flags) findModel() (found, error) {
	info, err := os.Stat(f.modelPath)
	if err != nil {
		return found{}, fmt.Errorf("model: %w", err)
	}
	m := found{path: f.modelPath, version: f.modelVersion, size: info.Size(), changed: info.ModTime()}
	if !info.IsDir() {
		if m.version == "" {
			m.version = "1"
		}
		return m, nil
	}
	if m.version == "" {
		if m.version, err = highest(f.modelPath); err != nil {
			return found{}, err
		}
	}
	m.path = filepath.Join(f.modelPath, m.version, modelFile)
	if info, err = os.Stat(m.path); err != nil {
		return found{}, fmt.Errorf("model: %w", err)
	}
	m.size, m.changed = info.Size(), info.ModTime()
	return m, nil
}

// highest is the largest number that names a folder with a model.
func highest(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("model: %w", err)
	}
	best := int64(-1)
	for _, e := range entries {
		n, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || n <= best || strconv.FormatInt(n, 10) != e.Name() {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, e.Name(), modelFile)); err == nil {
			best = n
		}
	}
	if best < 0 {
		return "", fmt.Errorf("model: %s: no folder named by a number with a %s", dir, modelFile)
	}
	return strconv.FormatInt(best, 10), nil
}

// verify computes the model's digest and compares it with what it should be: the
// flag's, and that of a file beside the model.
func (m *found) verify(want string) error {
	file, err := os.Open(m.path)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was read
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	m.digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
	beside, err := digestBeside(m.path)
	if err != nil {
		return err
	}
	for where, should := range map[string]string{"--model-digest": want, m.path + ".sha256": beside} {
		if should != "" && !strings.EqualFold(should, m.digest) {
			return fmt.Errorf("model %s: digest is %s by %s, found %s", m.path, should, where, m.digest)
		}
	}
	return nil
}

// digestBeside reads MODEL.sha256, as sha256sum writes it; empty if there is none.
func digestBeside(path string) (string, error) {
	text, err := os.ReadFile(path + ".sha256")
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("model: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return "", fmt.Errorf("model: %s.sha256: empty", path)
	}
	return "sha256:" + strings.TrimPrefix(fields[0], "sha256:"), nil
}

// fits compares the model's file with the memory that is left of a limit.
func (m *found) fits(limit, used int64) error {
	if limit > 0 && used+m.size > limit {
		return fmt.Errorf("model %s: %d bytes do not fit, %d of %d are used", m.path, m.size, used, limit)
	}
	return nil
}

// memoryLimit is the control group's limit and use; 0 where there is none.
func memoryLimit() (limit, used int64) {
	const dir = "/sys/fs/cgroup/"
	return number(dir + "memory.max"), number(dir + "memory.current")
}

func number(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return n
}

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	size                  int64     // of all its files
	changed               time.Time // the latest of them
	beside                string    // digests that files beside it name
}

// files are the model's own and that of its weights, if it keeps them in one of
// the names that exporters give.
func (m found) files() []string {
	files := []string{m.path}
	for _, suffix := range []string{".data", "_data"} {
		if _, err := os.Stat(m.path + suffix); err == nil {
			files = append(files, m.path+suffix)
		}
	}
	return files
}

// look notes how the files are at this moment.
func (m *found) look() error {
	for _, path := range m.files() {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("model: %w", err)
		}
		m.size += info.Size()
		if info.ModTime().After(m.changed) {
			m.changed = info.ModTime()
		}
		if text, err := os.ReadFile(path + ".sha256"); err == nil {
			m.beside += string(text)
		}
	}
	return nil
}

// findModels finds what --model-path means at this moment, the best first; at
// least one.
func (f *flags) findModels() ([]found, error) {
	info, err := os.Stat(f.modelPath)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	switch {
	case !info.IsDir() && f.modelVersion == "":
		return single(f.modelPath, "1")
	case !info.IsDir():
		return single(f.modelPath, f.modelVersion)
	case f.modelVersion != "":
		return single(filepath.Join(f.modelPath, f.modelVersion, modelFile), f.modelVersion)
	case f.digest != "":
		return nil, errors.New("--model-digest: of one model, so a folder needs --model-version")
	}
	versions, err := numbered(f.modelPath)
	if err != nil {
		return nil, err
	}
	models := make([]found, len(versions))
	for i, v := range versions {
		models[i] = found{path: filepath.Join(f.modelPath, v, modelFile), version: v}
		if err := models[i].look(); err != nil {
			return nil, err
		}
	}
	return models, nil
}

func single(path, version string) ([]found, error) {
	m := found{path: path, version: version}
	err := m.look()
	return []found{m}, err
}

// numbered are the numbers that name folders with a model, the highest first.
func numbered(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	var numbers []int64
	for _, e := range entries {
		n, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || n < 0 || strconv.FormatInt(n, 10) != e.Name() {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, e.Name(), modelFile)); err == nil {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("model: %s: no folder named by a number with a %s", dir, modelFile)
	}
	slices.Sort(numbers)
	var versions []string
	for _, n := range slices.Backward(numbers) {
		versions = append(versions, strconv.FormatInt(n, 10))
	}
	return versions, nil
}

// verify computes the model's digest, over its files one after the other, and
// compares it with the flag's, and each file's with that of a file beside it.
func (m *found) verify(want string) error {
	all := sha256.New()
	for _, path := range m.files() {
		own := sha256.New()
		if err := hashInto(io.MultiWriter(all, own), path); err != nil {
			return fmt.Errorf("model: %w", err)
		}
		beside, err := digestBeside(path)
		if err != nil {
			return err
		}
		if err := same(path, path+".sha256", beside, own.Sum(nil)); err != nil {
			return err
		}
	}
	sum := all.Sum(nil)
	m.digest = "sha256:" + hex.EncodeToString(sum)
	return same(m.path, "--model-digest", want, sum)
}

func hashInto(w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was read
	_, err = io.Copy(w, file)
	return err
}

// same compares a digest, with or without its algorithm's name, if one is given.
func same(path, where, want string, sum []byte) error {
	found := hex.EncodeToString(sum)
	if want = strings.TrimPrefix(strings.ToLower(want), "sha256:"); want != "" && want != found {
		return fmt.Errorf("model %s: digest is sha256:%s by %s, found sha256:%s", path, want, where, found)
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
	return fields[0], nil
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
	stat, _ := os.ReadFile(dir + "memory.stat")
	return number(dir + "memory.max"), max(0, number(dir+"memory.current")-inactive(string(stat)))
}

// inactive are the bytes of files that the kernel keeps only while nobody else
// needs the room.
func inactive(stat string) int64 {
	for line := range strings.Lines(stat) {
		if text, ok := strings.CutPrefix(line, "inactive_file "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			return n
		}
	}
	return 0
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

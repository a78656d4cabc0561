// Package parts finds what `make parts` fetched, for the tests that run against
// the real thing: Envoy, ONNX Runtime and the Magika models. A test that asks for
// a part that is absent fails; it is never skipped, and nothing is fetched here.
package parts

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Variables that name a part of one's own instead of the fetched one.
const (
	EnvEnvoy       = "ENVOY_BIN"
	EnvONNXRuntime = "ONNXRUNTIME_LIBRARY"
)

// Envoy is the path of an Envoy binary: $ENVOY_BIN, or else the fetched one.
func Envoy(t testing.TB) string {
	t.Helper()
	return must(t, EnvEnvoy, "envoy/envoy")
}

// ONNXRuntime is the path of ONNX Runtime's shared library:
// $ONNXRUNTIME_LIBRARY, or else the fetched one.
func ONNXRuntime(t testing.TB) string {
	t.Helper()
	return must(t, EnvONNXRuntime, "onnxruntime/libonnxruntime.so.1.32.0")
}

// Magika is the folder with model.onnx and config.min.json of one version of the
// model: "v3-2" or "v3-3".
func Magika(t testing.TB, version string) string {
	t.Helper()
	return must(t, "", "magika/"+version)
}

func must(t testing.TB, variable, part string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path, err := find(here, variable, part)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// find looks for a part: what the variable names, if it is set, and otherwise
// below .cache/parts of the module that holds the folder here.
func find(here, variable, part string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("$%s: %w", variable, err)
		}
		return path, nil
	}
	root, err := moduleRoot(here)
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "parts", filepath.FromSlash(part))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not there: run `make parts`: %w", part, err)
	}
	return path, nil
}

// moduleRoot is the nearest folder at or above here with a go.mod.
func moduleRoot(here string) (string, error) {
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s: no go.mod here or above", here)
		}
	}
}

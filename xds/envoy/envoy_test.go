package envoy

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/xds"
)

func TestAnOldEnvoyIsRefusedByVersion(t *testing.T) {
	for out, want := range map[string]string{
		"envoy  version: 9e55809/1.40.0/Clean/RELEASE/BoringSSL\n": "1.40.0",
		"\nenvoy  version: 0a/1.36.12/Modified/DEBUG/BoringSSL":    "1.36.12",
		"envoy  version: 0a/2.0.1/Clean/RELEASE/BoringSSL":         "2.0.1",
	} {
		got, err := parseVersion(out)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := parseVersion("envoy  version: 0a/1.35.9/Clean/RELEASE/BoringSSL")
	require.EqualError(t, err, "version 1.35.9 is older than 1.36; 1.40 is known to work")
	_, err = parseVersion("nginx version: nginx/1.2.3")
	require.ErrorContains(t, err, "does not name a version of Envoy")
}

// script writes an executable that says version when asked.
func script(t *testing.T, dir, name, version string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho 'envoy  version: 0a/"+version+"/Clean/RELEASE/BoringSSL'\n"), 0o755))
	return path
}

func TestFindPrefersTheVariableThenThePathThenTheFetchedOne(t *testing.T) {
	dir := t.TempDir()
	fetched := script(t, filepath.Join(dir, "fetched"), "envoy", "1.40.1")
	onPath := script(t, filepath.Join(dir, "path"), "envoy", "1.40.2")
	named := script(t, filepath.Join(dir, "named"), "my-envoy", "1.40.3")

	t.Setenv(EnvBinary, "")
	t.Setenv("PATH", "/nowhere")
	_, err := Find(t.Context(), filepath.Join(dir, "nothing"))
	require.ErrorContains(t, err, "is not in $ENVOY_BIN, in PATH or fetched")

	got, err := Find(t.Context(), fetched)
	require.NoError(t, err)
	require.Equal(t, Binary{fetched, "1.40.1"}, got)

	t.Setenv("PATH", filepath.Dir(onPath))
	got, err = Find(t.Context(), fetched)
	require.NoError(t, err)
	require.Equal(t, Binary{onPath, "1.40.2"}, got)

	t.Setenv(EnvBinary, named)
	got, err = Find(t.Context(), fetched)
	require.NoError(t, err)
	require.Equal(t, Binary{named, "1.40.3"}, got)

	t.Setenv(EnvBinary, filepath.Join(dir, "gone"))
	_, err = Find(t.Context(), fetched)
	require.ErrorIs(t, err, os.ErrNotExist, "a wrong variable is an error, not a reason to look elsewhere")
}

func TestALongFolderIsReachedByAShortLink(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	f, err := Open(long)
	require.NoError(t, err)
	require.LessOrEqual(t, len(f.Admin()), longestSocket)
	l, err := Listen(f.XDS())
	require.NoError(t, err)
	defer l.Close()
	_, err = os.Stat(filepath.Join(long, "xds.sock"))
	require.NoError(t, err, "the socket is in the folder")
	again, err := Open(long)
	require.NoError(t, err)
	require.Equal(t, f, again, "the next run finds the same")
}

func TestALinkThatLeadsElsewhereIsNotFollowed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	f, err := Open(long)
	require.NoError(t, err)
	link := filepath.Dir(f.Admin())
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(t.TempDir(), link))
	_, err = Open(long)
	require.ErrorContains(t, err, "leads to")
}

func TestASocketIsPrivateReplacedWhenStaleAndRefusedWhenServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xds.sock")
	first, err := Listen(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = Listen(path)
	require.ErrorContains(t, err, "is served by another process")

	first.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, first.Close())
	second, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, second.Close())

	_, err = Listen("/" + strings.Repeat("x", 200))
	require.ErrorContains(t, err, "201 bytes, more than the 107")
}

func TestAProcessIsToldFromALaterOneWithItsID(t *testing.T) {
	started, err := startTime(os.Getpid())
	require.NoError(t, err)
	require.True(t, process{PID: os.Getpid(), Started: started}.alive())
	require.False(t, process{PID: os.Getpid(), Started: started + 1}.alive())
}

func TestADamagedPIDFileIsNoProcess(t *testing.T) {
	f, err := Open(t.TempDir())
	require.NoError(t, err)
	for _, text := range []string{"", "{", `{"pid":0}`, `{"pid":-1}`, `{"pid":99999999,"started":1}`} {
		require.NoError(t, os.WriteFile(f.pid(), []byte(text), 0o600))
		_, ok := running(f)
		require.False(t, ok, text)
	}
}

func TestCalmIsAWhileWithoutAClient(t *testing.T) {
	var c calm
	looks := func(n int, x traffic) (last bool) {
		for range n {
			last = c.after(x, nil)
		}
		return last
	}
	require.False(t, looks(50, traffic{connections: 1, accepted: 1}), "a client is there")
	require.False(t, looks(calmAfter-1, traffic{accepted: 1}))
	require.False(t, looks(1, traffic{accepted: 2}), "one came and went between two looks")
	require.True(t, looks(calmAfter, traffic{accepted: 2}))
	require.True(t, new(calm).after(traffic{}, errors.New("no answer")))

	var r calm
	require.False(t, r.afterRequests(traffic{connections: 1, requests: 1}, nil))
	require.True(t, new(calm).afterRequests(traffic{}, nil), "nobody is left")
	for range calmAfter - 1 {
		require.False(t, r.afterRequests(traffic{connections: 1}, nil))
	}
	require.True(t, r.afterRequests(traffic{connections: 1}, nil), "who is left asks nothing")
}

func TestTrafficIsTheSumOfListeners(t *testing.T) {
	got, err := parseTraffic([]byte(`{"stats":[
		{"name":"http.sluice-8080.downstream_cx_active","value":2},{"name":"http.sluice-9090.downstream_cx_active","value":1},
		{"name":"http.sluice-8080.downstream_cx_total","value":10},{"name":"http.sluice-8080.downstream_rq_active","value":5}]}`))
	require.NoError(t, err)
	require.Equal(t, traffic{accepted: 10, connections: 3, requests: 5}, got)
	_, err = parseTraffic([]byte("<html>"))
	require.Error(t, err)
}

func TestABinaryThatEndsAtOnceIsTriedAgainAndItsLastWordsShown(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "envoy")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho no such flag\nexit 1\n"), 0o755))
	f, err := Open(filepath.Join(dir, "state"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var died []Status
	m, err := New(Config{
		Binary: Binary{Path: path}, Folder: f, Bootstrap: xds.BootstrapConfig{NodeID: "one"},
		Notify: func(s Status) {
			if s.Err == "" || s.PID != 0 {
				return
			}
			if died = append(died, s); len(died) == 2 {
				cancel()
			}
		},
	})
	require.NoError(t, err)
	require.NoError(t, m.Run(ctx))
	require.Contains(t, died[1].Err, "no such flag")
	require.Equal(t, 2, died[1].Restarts)
}

func TestNewNeedsABinaryAFolderAndANode(t *testing.T) {
	_, err := New(Config{})
	require.ErrorContains(t, err, "Binary and Folder must be given")
	f, err := Open(t.TempDir())
	require.NoError(t, err)
	_, err = New(Config{Binary: Binary{Path: "envoy"}, Folder: f})
	require.ErrorContains(t, err, "NodeID: is empty")
}

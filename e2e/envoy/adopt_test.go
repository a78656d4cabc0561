package envoy

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// Variables that turn the test binary into a control plane that minds an Envoy
// until it is killed.
const (
	envParent = "SLUICE_TEST_PARENT" // the state folder
	envBinary = "SLUICE_TEST_ENVOY"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envParent); dir != "" {
		mindUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func mindUntilKilled(dir string) {
	folder, err := envoy.Open(dir)
	if err != nil {
		panic(err)
	}
	minder, err := envoy.New(envoy.Config{
		Binary: envoy.Binary{Path: os.Getenv(envBinary)}, Folder: folder, Bootstrap: xds.BootstrapConfig{NodeID: "envoy-1"}, Workers: 2,
	})
	if err != nil {
		panic(err)
	}
	panic(minder.Run(context.Background()))
}

// orphan starts an Envoy whose parent is then killed, and gives its pid.
func orphan(t *testing.T, s *Stage, binary string) int {
	t.Helper()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), envParent+"="+s.Folder.Dir, envBinary+"="+binary)
	parent.Stderr = os.Stderr
	require.NoError(t, parent.Start())
	s.Acked(filetype, 1)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // it was killed
	pid, err := os.ReadFile(s.Folder.Dir + "/envoy.pid")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(pid), `"pid":`)
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(digits)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Kill(n, syscall.SIGKILL) }) // should the test have failed
	return n
}

// requireGone accepts a dead process that nobody has buried.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		require.Contains(t, string(stat), ") Z ", "pid %d runs", pid)
	}
}

// controlOnly is a stage without an Envoy.
func controlOnly(t *testing.T) *Stage {
	t.Helper()
	folder, err := envoy.Open(t.TempDir())
	require.NoError(t, err)
	s := &Stage{t: t, Port: freePort(t), Folder: folder, news: make(chan struct{}, 1)}
	s.StartControl(ads.Config{Notify: s.note})
	t.Cleanup(s.StopControl)
	return s
}

func TestAnEnvoyOutlivesItsParentAndIsAdopted(t *testing.T) {
	s := controlOnly(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	pid := orphan(t, s, binaryOf(t))
	load := s.StartLoad("filetype.ml", 2)

	s.StartEnvoy(xds.BootstrapConfig{NodeID: "envoy-1"})
	s.Ready()
	require.Equal(t, pid, s.Minder.Status().PID)
	require.True(t, s.Minder.Status().Adopted)
	s.Publish(cfg, splitOf(filetype, 2, config.Whole("v2")))
	s.Acked(filetype, 2)
	require.Empty(t, load.Stop(), "nobody noticed")

	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	Await(s, "disconnect", func(ads.Disconnected) bool { return true })
	s.Forget()
	s.Acked(filetype, 2)
	require.NotEqual(t, pid, s.Minder.Status().PID, "an adopted one is brought back too")
	s.StopEnvoy()
	require.Zero(t, s.Minder.Status().PID)
}

func TestAnEnvoyOnAnotherBootstrapIsReplaced(t *testing.T) {
	s := controlOnly(t)
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), splitOf(filetype, 1, config.Whole("v1")))
	pid := orphan(t, s, binaryOf(t))
	s.Forget()
	s.StartEnvoy(xds.BootstrapConfig{NodeID: "envoy-2"})
	Await(s, "the other proxy", func(e ads.Connected) bool { return e.Proxy == "envoy-2" })
	requireGone(t, pid)
	s.StopEnvoy()
}

func TestAnOrphanIsFoundWithoutItsPIDFileToo(t *testing.T) {
	s := controlOnly(t)
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), splitOf(filetype, 1, config.Whole("v1")))
	pid := orphan(t, s, binaryOf(t))
	require.NoError(t, os.Remove(s.Folder.Dir+"/envoy.pid"))
	was, err := envoy.Down(t.Context(), s.Folder, time.Second, time.Second)
	require.NoError(t, err)
	require.True(t, was)
	requireGone(t, pid)
}

func TestDownEndsTheEnvoyOfAFolderOnce(t *testing.T) {
	s := controlOnly(t)
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), splitOf(filetype, 1, config.Whole("v1")))
	pid := orphan(t, s, binaryOf(t))
	resp, _ := s.Get("filetype.ml", "/")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	was, err := envoy.Down(t.Context(), s.Folder, time.Second, time.Second)
	require.NoError(t, err)
	require.True(t, was)
	requireGone(t, pid)
	was, err = envoy.Down(t.Context(), s.Folder, time.Second, time.Second)
	require.NoError(t, err)
	require.False(t, was)
}

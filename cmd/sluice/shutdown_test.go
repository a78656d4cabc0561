package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config/file"
	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/xds/envoy"
)

const anyRoute = `apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype, namespace: ml}
spec:
  hostnames: [filetype.ml]
  listener: {port: 8080}
  versions:
    - {name: v1, endpoints: ["127.0.0.1:8001"]}
  strategy: {split: {weights: {v1: 100%}}}
`

// optionsFor runs one inference route without an Envoy, in folders of the test.
func optionsFor(t *testing.T) runOptions {
	t.Helper()
	manifests := filepath.Join(t.TempDir(), "route.yaml")
	require.NoError(t, os.WriteFile(manifests, []byte(anyRoute), 0o600))
	return runOptions{
		manifests: manifests, state: t.TempDir(), envoy: envoyNone, httpAddress: "127.0.0.1:0", logLevel: "info", node: "sluice", keepReviews: 1,
	}
}

func TestAStopWhileEnvoyIsLookedForIsAStop(t *testing.T) {
	o := optionsFor(t)
	o.envoy = envoyAuto
	folder := t.TempDir()
	asked := filepath.Join(folder, "asked")
	require.NoError(t, syscall.Mkfifo(asked, 0o600))
	slow := filepath.Join(folder, "envoy")
	require.NoError(t, os.WriteFile(slow, []byte("#!/bin/sh\necho asked > "+asked+"\nsleep 600\n"), 0o700))
	t.Setenv(envoy.EnvBinary, slow)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runControlPlane(ctx, o, io.Discard, io.Discard) }()
	_, err := os.ReadFile(asked) // returns when it has been asked
	require.NoError(t, err)
	cancel()
	require.NoError(t, await.Next(t, ended, "the end"))

	o.envoy = envoyNone
	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, runControlPlane(stopped, o, io.Discard, io.Discard), "what it had opened is free again")
}

func TestAnEditThatIsDeliveredWhileTheOthersStopHoldsNobodyUp(t *testing.T) {
	p, err := newPlane(t.Context(), optionsFor(t), io.Discard, io.Discard)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.close()) }()
	manifests, err := file.Load(p.options.manifests)
	require.NoError(t, err)

	// Nobody runs who would take it, as when they have ended before.
	ctx, cancel := context.WithCancel(t.Context())
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		p.deliver(ctx, file.Update{Config: manifests})
	}()
	cancel()
	await.Next(t, delivered, "the end of the delivery")
	select {
	case <-p.configured:
		t.Fatal("what was half delivered is served as if it were whole")
	default:
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const plannedRoute = `apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype}
spec:
  listener: {port: 8080}
  versions:
    - {name: v1, endpoints: ["127.0.0.1:8001"]}
    - {name: v2, endpoints: ["127.0.0.1:8002"]}
  target: v2
  initialStable: v1
  strategy: {canary: {steps: [{weight: 5%}, {approve: {timeout: 1h}}, {weight: 50%, for: 2m}]}}
`

func offline(t *testing.T, args ...string) (code int, out, complaints string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestPlanSaysWhatEachStepAsksFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "route.yaml")
	require.NoError(t, os.WriteFile(path, []byte(plannedRoute), 0o600))
	code, out, complaints := offline(t, "plan", "-f", path, "-o", "json")
	require.Equal(t, exitOK, code, complaints)
	var plans []routePlan
	require.NoError(t, json.Unmarshal([]byte(out), &plans))
	require.Len(t, plans, 1)
	require.Equal(t, "default/filetype", plans[0].Route)
	require.Len(t, plans[0].Steps, 2, "a gate is no step of traffic")
	require.InDelta(t, 120, float64(plans[0].Steps[1].Least), 0)
	require.Nil(t, plans[0].Healthy)

	code, out, complaints = offline(t, "plan", "-f", path, "--rps", "60", "--trials", "1")
	require.Equal(t, exitOK, code, complaints)
	require.Contains(t, out, "a healthy version: 1 of 1 promoted")
	require.Contains(t, out, "note: 1 gate waits for people, and is left out\n")
	require.Empty(t, complaints, "a bar is for terminals")
}

func TestPlanSaysThatARolloutCannotEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "route.yaml")
	two := strings.Replace(plannedRoute, "{approve: {timeout: 1h}}", "{approve: {timeout: 1h}}, {approve: {timeout: 2h}}", 1)
	require.NoError(t, os.WriteFile(path, []byte(two), 0o600))
	code, out, complaints := offline(t, "plan", "-f", path, "--rps", "0.05", "--trials", "2")
	require.Equal(t, exitOK, code, complaints)
	require.Regexp(t, `  a healthy version: none of 2 promoted\n    not promoted: at step 1 of 2 after 45m: step 1 of 2 has seen \d+ of at least 300 requests to candidate\n`, out)
	require.Contains(t, out, "note: 2 gates wait for people, and are left out\n")
	require.Contains(t, out, "note: no rollout comes to its end by evidence: the steps take at least 36h40m0s, and after limits.maxDuration (45m) onInconclusive: Hold decides\n")
}

func TestSimulateNamesWhatIsOff(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		fact string
	}{
		{[]string{"--rps", "0"}, exitFailure, "rps: is not above 0"},
		{[]string{"--rps", "5", "--base-errors", "2"}, exitUsage, `--base-errors: `},
		{[]string{"--rps", "5", "--base-errors", "100%"}, exitFailure, "base-errors: is not from 0% up and below 100%, found 100%"},
		{[]string{"--rps", "5", "--pods", "0"}, exitUsage, "--pods: is not from 1 to 1000, found 0"},
		{[]string{"--rps", "5", "--candidate-pods", "0"}, exitUsage, "--candidate-pods: is not from 1 to 1000, found 0"},
		{[]string{"--rps", "5", "--steps", "half"}, exitUsage, `--steps: is not a list of weights like 5%,25%, found "half"`},
		{[]string{"--rps", "5", "-o", "xml"}, exitUsage, `--output: is not one of json, yaml, found "xml"`},
		{[]string{"--rps", "5", "--latency-from", "no-such.jsonl"}, exitFailure, "no-such.jsonl"},
	} {
		code, _, complaints := offline(t, append([]string{"simulate"}, test.args...)...)
		require.Equal(t, test.code, code, complaints)
		require.Contains(t, complaints, test.fact)
	}
}

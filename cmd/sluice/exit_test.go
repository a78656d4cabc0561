package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMistakenManifestsHaveOneExitCode(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("apiVersion: sluice.dev/v1alpha1\nkind: InferenceRoute\nmetadata: {name: Bad_Name}\nspec: {}\n"), 0o600))
	for _, args := range [][]string{
		{"lint", "-f", bad},
		{"run", "-f", bad, "--state", t.TempDir()},
		{"render", "-f", bad},
		{"plan", "-f", bad},
	} {
		code, _, stderr := sluice(t, args...)
		require.Equal(t, exitFindings, code, "%s: %s", args[0], stderr)
	}
	code, _, _ := sluice(t, "run", "-f", filepath.Join(t.TempDir(), "nowhere"), "--state", t.TempDir())
	require.Equal(t, exitFailure, code, "what is not there is not mistaken")
}

func TestARefusedFlagIsNamedAsItIsTyped(t *testing.T) {
	_, _, stderr := sluice(t, "promote", "ml/filetype", "--override-evidence", "--reason", "x")
	require.Contains(t, stderr, "--override-evidence: needs --full")
}

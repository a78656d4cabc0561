package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// replayed runs a replay of lines from standard input.
func replayed(t *testing.T, lines string, flags ...string) (code int, out, complaints string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args := append([]string{"replay", "--requests", "-", "--stable", "v1", "--candidate", "v2"}, flags...)
	code = execute(t.Context(), args, strings.NewReader(lines), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// failing is 30 s of a candidate that fails every request.
func failing() string {
	var lines strings.Builder
	for i := range 3000 {
		version, status := "v1", 200
		if i%10 == 9 {
			version, status = "v2", 500
		}
		fmt.Fprintf(&lines, `{"t": %.2f, "version": %q, "pod": "a:1", "status": %d, "latency_ms": 5}`+"\n", float64(i)/100, version, status)
	}
	return lines.String()
}

func TestReplayPrintsOneJSONObject(t *testing.T) {
	code, out, complaints := replayed(t, failing(), "-o", "json")
	require.Equal(t, exitOK, code, complaints)
	var got struct {
		Verdict   string             `json:"verdict"`
		At        float64            `json:"at_s"`         //nolint:tagliatelle // the command's own form
		TrippedAt float64            `json:"tripped_at_s"` //nolint:tagliatelle // the command's own form
		Metric    string             `json:"metric"`
		LogE      map[string]float64 `json:"log_e"` //nolint:tagliatelle // the command's own form
		N         map[string]int64   `json:"n"`
		Reason    string             `json:"reason"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, "harmful", got.Verdict)
	require.Equal(t, "errors", got.Metric)
	require.Greater(t, got.At, got.TrippedAt)
	require.Less(t, got.At, 5.0)
	require.NotEmpty(t, got.LogE)
	require.Positive(t, got.N["candidate"])
	require.NotEmpty(t, got.Reason)
}

func TestReplayStopsAtABadLineUnlessToldToGoOn(t *testing.T) {
	lines := strings.Replace(failing(), `"status": 500`, `"status": "broken"`, 1)
	code, out, complaints := replayed(t, lines)
	require.Equal(t, exitFailure, code)
	require.Empty(t, out)
	require.Contains(t, complaints, `standard input:10: status: is not a number, found "broken"`)

	code, out, complaints = replayed(t, lines, "--skip-bad")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "harmful at ")
	require.Contains(t, out, "1 skipped")
	require.Contains(t, complaints, "skipped: standard input:10: ")
}

func TestReplayTellsTimesSinceTheFirstLine(t *testing.T) {
	lines := strings.ReplaceAll(failing(), `{"t": `, `{"t": 17672256`) // 00.00 to 29.99 seconds after that
	lines = regexp.MustCompile(`17672256(\d)\.`).ReplaceAllString(lines, "176722560$1.")
	code, out, complaints := replayed(t, lines)
	require.Equal(t, exitOK, code, complaints)
	require.Regexp(t, `^harmful at \d\.\d+ s \(2026-01-01T00:00:0\d\.\d+Z\): `, out)
	require.Contains(t, out, " lines, to 29.995 s (2026-01-01T00:00:29.995Z): ")
	require.NotContains(t, out, "e+09")

	code, out, _ = replayed(t, lines, "-o", "json")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, `"to_s": 1767225629.995`)
	require.NotContains(t, out, `\u003e`)

	_, out, _ = replayed(t, failing())
	require.Regexp(t, `^harmful at \d\.\d+ s: `, out)
}

func TestReplayRefusesANumberOfSegmentsThatIsNone(t *testing.T) {
	code, _, complaints := replayed(t, failing(), "--segments", "-5")
	require.Equal(t, exitFailure, code)
	require.Contains(t, complaints, "segments: is not from 0 to 100, found -5")
}

func TestReplayRefusesAPolicyThatIsNone(t *testing.T) {
	code, _, complaints := replayed(t, "", "--policy", "no-such.yaml")
	require.Equal(t, exitFailure, code)
	require.Contains(t, complaints, "no-such.yaml")
}

func TestAACheckMeasuresEqualPods(t *testing.T) {
	var lines strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&lines, `{"t": %.2f, "version": "v1", "pod": "p%d:1", "status": 200, "latency_ms": %d}`+"\n", float64(i)/100, i%4, 5+i%7)
	}
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"aa-check", "--requests", "-", "--version", "v1"}, strings.NewReader(lines.String()), &stdout, &stderr)
	require.Equal(t, exitOK, code, stderr.String())
	require.Contains(t, stdout.String(), "0 of 4 pretended rollouts of 4 pods were rolled back")
	require.Contains(t, stdout.String(), "where 0.5% is promised")
}

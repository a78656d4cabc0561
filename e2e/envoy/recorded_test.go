package envoy

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis/replay"
	"github.com/sluice-dev/sluice/config"
)

// recordingEnvoy starts an Envoy as testdata/recorded.yaml says, and gives its URL.
func recordingEnvoy(t *testing.T, file string) string {
	t.Helper()
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.URL.Query().Get("status"))
		if err != nil { // it never answers
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-Sluice-Tokens", "4")
		w.WriteHeader(status)
	})
	port := freePort(t)
	addresses := map[string]string{"V1": Server(t, model), "V2": Server(t, model)}
	template, err := os.ReadFile(filepath.Join("testdata", "recorded.yaml"))
	require.NoError(t, err)
	yaml := os.Expand(string(template), func(name string) string {
		switch name {
		case "PORT":
			return fmt.Sprint(port)
		case "FILE":
			return file
		case "FORMAT":
			const indent = "              "
			return indent + strings.ReplaceAll(strings.TrimRight(replay.EnvoyFormat, "\n"), "\n", "\n"+indent)
		}
		host, port, _ := net.SplitHostPort(addresses[strings.TrimPrefix(name, "AT ")])
		return fmt.Sprintf(`connect_timeout: 1s, load_assignment: {cluster_name: c, endpoints: [
    {lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}`, host, port)
	})
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
	startEnvoy(t, path, "--file-flush-interval-msec", "50")
	awaitListener(t, port)
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// What an Envoy writes in the format that the help of replay shows is read whole: every
// line, who served it, how it ended, its segment, its first byte and its tokens.
func TestALogThatEnvoyWroteIsReplayed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.json")
	url := recordingEnvoy(t, file)
	const rounds = 10
	endings := []string{"/v1/?status=200", "/v1/?status=200", "/v1/?status=503", "/v1/?status=404", "/v2/?status=200", "/v2/?status=500"}
	ask := func(path string) {
		req, err := http.NewRequest(http.MethodGet, url+path, nil)
		require.NoError(t, err)
		req.Header.Set("X-Tenant", "acme")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	for range rounds {
		for _, path := range endings {
			ask(path)
		}
	}
	ask("/v2/?never")
	const lines = rounds*6 + 1
	text := written(t, file, lines)

	p := config.Standard()
	p.Metrics = append(p.Metrics, config.Metric{Name: config.MetricTTFB}, config.Metric{Name: config.MetricTPOT})
	got, err := replay.Run(bytes.NewReader(text), replay.Config{Policy: p.Default(), Stable: "v1", Candidate: "v2", Segments: 3})
	require.NoError(t, err)
	require.Equal(t, int64(lines), got.Lines)
	require.Zero(t, got.Others)
	require.Equal(t, map[string]int64{"stable": 3 * rounds, "candidate": 2*rounds + 1}, got.N, "a 404 says nothing of an arm")
	require.Len(t, got.Notes, 1, "nothing is missing but the declared shares: %q", got.Notes)
	answered, err := replay.Latencies(bytes.NewReader(text), file)
	require.NoError(t, err)
	require.Equal(t, int64(3*rounds), answered.Count(), "those that succeeded")
}

// written waits until a file has so many lines.
func written(t *testing.T, file string, lines int) []byte {
	t.Helper()
	var text []byte
	require.Eventually(t, func() bool {
		var err error
		text, err = os.ReadFile(file)
		return err == nil && bytes.Count(text, []byte("\n")) >= lines
	}, patience, 20*time.Millisecond)
	return text
}

package serving_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/e2e/serving"
)

// weighing is an Envoy before two replicas, with periods as short as it allows.
const weighing = `{
  "admin": {"address": {"pipe": {"path": %[1]q}}},
  "static_resources": {
    "listeners": [{"name": "l", "address": {"pipe": {"path": %[2]q}}, "filter_chains": [{"filters": [{
      "name": "envoy.filters.network.http_connection_manager",
      "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "l",
        "route_config": {
          "response_headers_to_remove": ["endpoint-load-metrics"],
          "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c"}}]}]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]
      }}]}]}],
    "clusters": [{
      "name": "c", "type": "STATIC", "connect_timeout": "5s",
      "load_balancing_policy": {"policies": [{"typed_extension_config": {
        "name": "envoy.load_balancing_policies.client_side_weighted_round_robin",
        "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin",
          "blackout_period": "0.2s", "weight_update_period": "0.2s"
        }}}]},
      "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [%[3]s, %[4]s]}]}
    }]
  }
}`

func endpoint(t *testing.T, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return fmt.Sprintf(`{"endpoint": {"address": {"socket_address": {"address": %q, "port_value": %s}}}}`, host, port)
}

// balance starts an Envoy before two replicas and gives a client of it.
func balance(t *testing.T, a, b *serving.Replica) *http.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "weights") //nolint:usetesting // a socket's path must be short
	require.NoError(t, err)
	socket := filepath.Join(dir, "l")
	config := fmt.Sprintf(weighing, filepath.Join(dir, "admin"), socket, endpoint(t, a.HTTP), endpoint(t, b.HTTP))
	path := filepath.Join(dir, "envoy.json")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	var logs bytes.Buffer
	cmd := exec.Command(parts.Envoy(t), "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn")
	cmd.Stderr = &logs
	require.NoError(t, cmd.Start())
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		await.Next(t, exited, "the end of Envoy")
		if t.Failed() {
			t.Log(logs.String())
		}
		_ = os.RemoveAll(dir)
	})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for { // until Envoy listens, or is no more
			c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if err == nil {
				return c, nil
			}
			select {
			case <-exited:
				return nil, err
			case <-ctx.Done():
				return nil, ctx.Err()
			default:
			}
		}
	}, MaxIdleConnsPerHost: 8}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// request is one row of zeroes for Magika.
func request(t *testing.T) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{
		"name": "bytes", "datatype": "INT32", "shape": []int{1, 2048}, "data": make([]int32, 2048),
	}}})
	require.NoError(t, err)
	return text
}

// ask gives the version that answered.
func ask(client *http.Client, body []byte) (string, error) {
	r, err := client.Post("http://envoy/v2/models/magika/infer", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %s: %w", r.StatusCode, text, err)
	}
	if r.Header.Get("Endpoint-Load-Metrics") != "" {
		return "", fmt.Errorf("a client saw the load")
	}
	var answer struct {
		Version string `json:"model_version"`
	}
	return answer.Version, json.Unmarshal(text, &answer)
}

// shares sends requests from four callers and counts who answered.
func shares(t *testing.T, client *http.Client, n int) map[string]int {
	t.Helper()
	body := request(t)
	counts := map[string]int{}
	var mu sync.Mutex
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range n / 4 {
				version, err := ask(client, body)
				assert.NoError(t, err)
				mu.Lock()
				counts[version]++
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return counts
}

// replicas are two of one model; one takes four times as long.
func replicas(t *testing.T, args ...string) (fast, slow *serving.Replica) {
	t.Helper()
	common := append(serving.Magika(t, "v3-2"), args...)
	fast = serving.Start(t, append(common, "--model-version", "fast")...)
	slow = serving.Start(t, append(common, "--model-version", "slow", "--inject-fault", "latency-add=25ms")...)
	return fast, slow
}

func TestEnvoyShiftsLoadToTheReplicaThatReportsLess(t *testing.T) {
	fast, slow := replicas(t)
	client := balance(t, fast, slow)
	var counts map[string]int
	for range 40 { // until reports have become weights
		counts = shares(t, client, 100)
		t.Log(counts)
		if 2*counts["fast"] >= 3*counts["slow"] {
			return
		}
	}
	assert.Fail(t, "the load did not shift", "last hundred: %v", counts)
}

func TestWithoutReportsEnvoySharesEvenly(t *testing.T) {
	fast, slow := replicas(t, "--load-reports=false")
	client := balance(t, fast, slow)
	for range 5 {
		counts := shares(t, client, 100)
		assert.InDelta(t, counts["fast"], counts["slow"], 10)
	}
}

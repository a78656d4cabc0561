package envoy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// told is what is known of an attempt, its times aside.
type told struct {
	version string
	attempt uint32
	shadow  bool
	outcome analysis.Outcome
	issued  bool
}

// logLedger is a Sink that counts what Envoy said, and notices gaps as a rollout
// does.
type logLedger struct {
	mu     sync.Mutex
	told   map[told]int
	issued map[string]int // by version, as load reports count
	epochs map[uint64]int
	pods   map[string]int
	tally  *analysis.Tally
	gaps   []analysis.Gap
	heard  int // reports
	news   chan struct{}
}

func newLogLedger(route config.Key) *logLedger {
	return &logLedger{
		told: map[told]int{}, issued: map[string]int{}, epochs: map[uint64]int{}, pods: map[string]int{},
		tally: analysis.NewTally(route, time.Now()), news: make(chan struct{}, 1),
	}
}

func (l *logLedger) Observe(_ string, requests []analysis.Request) {
	l.note(func(now time.Time) {
		l.tally.Observe(now, requests)
		for _, r := range requests {
			if r.Running {
				continue
			}
			l.told[told{r.Version, r.Attempt, r.Shadow, r.Outcome, r.Issued}]++
			l.epochs[r.Epoch]++
			l.pods[r.Pod]++
		}
	})
}

func (l *logLedger) Report(_ string, loads []analysis.Load) {
	l.note(func(time.Time) {
		l.tally.Report(loads)
		l.heard++
		for _, load := range loads {
			l.issued[load.Version] += int(load.Issued)
		}
	})
}

func (l *logLedger) Stream(proxy string, open bool) {
	l.note(func(now time.Time) { l.tally.Stream(now, proxy, open) })
}

func (l *logLedger) note(what func(now time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	what(now)
	l.gaps = append(l.gaps, l.tally.Gaps(now)...)
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// await waits until it is so. The ledger is locked while so looks.
func (l *logLedger) await(t testing.TB, what string, so func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		is := so()
		l.mu.Unlock()
		if is {
			return
		}
		select {
		case <-l.news:
		case <-timeout:
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("%s: not within %v; told %+v, issued %v, gaps %v", what, patience, l.told, l.issued, l.gaps)
		}
	}
}

// moreReports says whether so many have come since it was called.
func (l *logLedger) moreReports(n int) func() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.heard + n
	return func() bool { return l.heard >= want }
}

// toldIssued is how many attempts of each version the entries told of, that load
// reports count too.
func (l *logLedger) toldIssued() map[string]int {
	issued := map[string]int{}
	for t, n := range l.told {
		if t.issued {
			issued[t.version] += n
		}
	}
	return issued
}

// agreed says that load reports have counted what the entries told of, and no more.
func (l *logLedger) agreed() bool {
	told := l.toldIssued()
	for version, n := range l.issued {
		if told[version] != n {
			return false
		}
	}
	for version, n := range told {
		if l.issued[version] != n {
			return false
		}
	}
	return true
}

// serveLogs takes access logs and load reports until it is stopped.
func serveLogs(t testing.TB, sink accesslog.Sink, listener net.Listener) (stop func()) {
	t.Helper()
	s, err := accesslog.New(accesslog.Config{Sink: sink})
	require.NoError(t, err)
	server := grpc.NewServer(accesslog.Options()...)
	s.Register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	stop = sync.OnceFunc(func() { server.Stop(); serving.Wait() })
	t.Cleanup(stop)
	return stop
}

// tell has the product's log server tell a sink what the Envoy of the stage logs.
func (s *Stage) tell(sink accesslog.Sink) (stop func()) {
	s.t.Helper()
	listener, err := envoy.Listen(s.Folder.ALS())
	require.NoError(s.t, err)
	return serveLogs(s.t, sink, listener)
}

func listenOn(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	return l
}

const attemptsLog = `{name: envoy.access_loggers.http_grpc, typed_config: {
  "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig,
  common_config: {log_name: sluice, transport_api_version: V3, buffer_flush_interval: 0.05s, grpc_service: {envoy_grpc: {cluster_name: logs}},
    custom_tags: [{tag: arm, value: "%UPSTREAM_CLUSTER_RAW%"}]},
  additional_request_headers_to_log: [x-sluice-arm, x-sluice-shadow, x-envoy-attempt-count],
  additional_response_headers_to_log: [grpc-status, x-sluice], additional_response_trailers_to_log: [grpc-status]}}`

// attemptsEnvoy starts an Envoy as testdata/attempts.yaml says, and gives its URL.
func attemptsEnvoy(t *testing.T, logs, reports net.Addr) string {
	t.Helper()
	port := freePort(t)
	addresses := map[string]string{
		"LOGS": logs.String(), "REPORTS": reports.String(), "DEAD": fmt.Sprintf("127.0.0.1:%d", freePort(t)),
		"V1": Server(t, misbehave("v1")), "V2": Server(t, misbehave("v2")), "V3": grpcModel(t),
	}
	template, err := os.ReadFile(filepath.Join("testdata", "attempts.yaml"))
	require.NoError(t, err)
	yaml := os.Expand(string(template), func(name string) string {
		words := append(strings.Fields(name), "", "")
		switch words[0] {
		case "PORT":
			return fmt.Sprint(port)
		case "AT":
			host, port, _ := net.SplitHostPort(addresses[words[1]])
			return fmt.Sprintf(`connect_timeout: 1s, common_lb_config: {healthy_panic_threshold: {value: 0}}, load_assignment: {cluster_name: c, endpoints: [
    {lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}`, host, port)
		default:
			return attemptsSnippet(words[0], words[1], words[2])
		}
	})
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	startEnvoy(t, file)
	awaitListener(t, port)
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

func attemptsSnippet(verb, first, second string) string {
	const headers = `[{header: {key: %s, value: "%s@17"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]`
	switch verb {
	case "LOG":
		return attemptsLog
	case "HTTP2":
		return `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}`
	case "STAMP": // of the route, where clusters have none
		return "request_headers_to_add: " + fmt.Sprintf(headers, "x-sluice-arm", "%UPSTREAM_CLUSTER_RAW%")
	case "ONLY":
		return fmt.Sprintf(`weighted_clusters: {clusters: [{name: ml/m/%s, weight: 10000, request_headers_to_add: %s, response_headers_to_add: %s}]}`,
			first, fmt.Sprintf(headers, "x-sluice-arm", first), fmt.Sprintf(headers, "x-sluice", first))
	case "MIRROR":
		return fmt.Sprintf(`request_mirror_policies: [{cluster: ml/m/%[1]s, request_headers_mutations: [{append: {
    header: {key: x-sluice-shadow, value: "%[1]s@17"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}]}]`, first)
	case "RETRY":
		return fmt.Sprintf(`retry_policy: {retry_on: "5xx,connect-failure", num_retries: 1, refresh_cluster_on_retry: true, per_try_timeout: 0.3s},
    inline_cluster_specifier_plugin: {extension: {name: retry, typed_config: {
    "@type": type.googleapis.com/envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier,
    priority_groups: [{name: split, clusters: [{cluster_name: ml/m/%s, weight: 10000}]}, {name: stable, clusters: [{cluster_name: ml/m/%s, weight: 1}]}]}}}`, first, second)
	}
	return ""
}

// startEnvoy runs one until the test ends.
func startEnvoy(t *testing.T, file string, more ...string) {
	t.Helper()
	var log bytes.Buffer
	args := append([]string{"-c", file, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "warning"}, more...)
	cmd := exec.Command(parts.Envoy(t), args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			await.Next(t, done, "the end of Envoy")
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

func awaitListener(t *testing.T, port uint32) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("no listener on port %d within %v", port, patience)
		}
	}
}

// misbehave answers as the query's field of its name asks.
func misbehave(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server that has not read it all does not see its client leave
		body := bytes.Repeat([]byte("x"), 10_000)
		switch r.URL.Query().Get(name) {
		case "503":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "429":
			w.WriteHeader(http.StatusTooManyRequests)
		case "hang":
			<-r.Context().Done()
		case "close":
			panic(http.ErrAbortHandler)
		case "break":
			_, _ = w.Write(body)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "drip":
			_, _ = w.Write(body)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, name)
	}
}

// grpcModel answers with the gRPC status that the query asks for, in trailers, or
// in headers alone.
func grpcModel(t *testing.T) string {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "application/grpc")
		if status := r.URL.Query().Get("headers"); status != "" {
			w.Header().Set("grpc-status", status)
			return
		}
		w.Header().Set("trailer", "grpc-status")
		_, _ = w.Write([]byte{0, 0, 0, 0, 0})
		w.Header().Set("grpc-status", r.URL.Query().Get("trailers"))
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

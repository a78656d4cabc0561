package envoy

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/xds/name"
)

// Whatever becomes of a request, its log entries say which version and epoch it
// was: the assigned arm in a header, the serving cluster in a tag, the epoch in
// the route's name.
func TestEveryOutcomeIsStamped(t *testing.T) {
	outcomes := map[string]struct {
		endpoint func(t *testing.T) []string
		status   int
		details  string
		attempt  bool // the router's own entry exists
	}{
		"served": {serverOf(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), 200, "via_upstream", true},
		"failed": {serverOf(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }), 500, "via_upstream", true},
		"too slow": {serverOf(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(patience):
			}
		}), 504, "response_timeout", true},
		"cut off":            {serverOf(cutOff), 503, "upstream_reset_before_response_started{connection_termination}", true},
		"no endpoint":        {func(*testing.T) []string { return nil }, 503, "no_healthy_upstream", false},
		"unhealthy endpoint": {func(t *testing.T) []string { return []string{deadAddress(t)} }, 503, "no_healthy_upstream", false},
	}
	for outcome, tt := range outcomes {
		t.Run(outcome, func(t *testing.T) {
			s := NewStage(t)
			logs := s.StartLogs()
			cfg := twoVersions(t, s, filetype, "filetype.ml")
			cfg.Routes[0].Versions[1].Endpoints = tt.endpoint(t)
			cfg.Routes[0].Timeouts.Request = config.Duration(300 * time.Millisecond)
			s.Publish(cfg, splitOf(filetype, 5, config.Whole("v2")))
			s.Acked(filetype, 5)
			resp, _ := s.Get("filetype.ml", "/")
			require.Equal(t, tt.status, resp.StatusCode)

			downstream := logs.next(s, "downstream", isType(datapb.AccessLogType_DownstreamEnd))
			requireStamps(t, downstream)
			require.Equal(t, tt.details, downstream.GetResponse().GetResponseCodeDetails())
			require.Equal(t, resp.Header.Get("x-request-id"), downstream.GetRequest().GetRequestId())
			if tt.attempt {
				upstream := logs.next(s, "upstream", isType(datapb.AccessLogType_UpstreamEnd))
				requireStamps(t, upstream)
				require.Equal(t, "1", upstream.GetRequest().GetRequestHeaders()["x-envoy-attempt-count"])
			}
		})
	}
}

func requireStamps(t *testing.T, e *datapb.HTTPAccessLogEntry) {
	t.Helper()
	common := e.GetCommonProperties()
	route, epoch, err := name.ParseRoute(common.GetRouteName())
	require.NoError(t, err)
	require.Equal(t, filetype, route)
	require.Equal(t, uint64(5), epoch)
	require.Equal(t, name.Cluster(filetype, "v2"), common.GetCustomTags()[name.TagArm])
	require.Equal(t, "v2@5", e.GetRequest().GetRequestHeaders()[name.HeaderArm])
}

func TestAMirroredCopyIsLoggedAsOne(t *testing.T) {
	s := NewStage(t)
	logs := s.StartLogs()
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), map[config.Key]config.Split{filetype: {
		Epoch: 5, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: config.WholeSplit},
	}})
	s.Acked(filetype, 5)
	resp, _ := s.Get("filetype.ml", "/")
	copied := logs.next(s, "the copy", func(e *datapb.HTTPAccessLogEntry) bool {
		return e.GetRequest().GetRequestHeaders()[name.HeaderShadow] != ""
	})
	require.Equal(t, "v2@5", copied.GetRequest().GetRequestHeaders()[name.HeaderShadow])
	require.Equal(t, name.Cluster(filetype, "v2"), copied.GetCommonProperties().GetCustomTags()[name.TagArm])
	require.Equal(t, resp.Header.Get("x-request-id"), copied.GetRequest().GetRequestId())
}

func TestLoadReportsCountWhatWasAsked(t *testing.T) {
	s := NewStage(t)
	logs := s.StartLogs()
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), splitOf(filetype, 5, config.Whole("v2")))
	s.Acked(filetype, 5)
	issued := func(until func(uint64) bool) {
		timeout := time.After(patience)
		for total := uint64(0); ; {
			select {
			case m := <-logs.Loads:
				for _, c := range m.GetClusterStats() {
					for _, l := range c.GetUpstreamLocalityStats() {
						if c.GetClusterName() == name.Cluster(filetype, "v2") {
							total += l.GetTotalIssuedRequests()
						}
					}
				}
				if until(total) {
					return
				}
			case <-timeout:
				t.Fatalf("%d requests were reported within %v", total, patience)
			}
		}
	}
	s.Get("filetype.ml", "/") // a cluster's first period is not reported
	for range 2 {
		await.Next(t, logs.Loads, "a load report")
	}
	for range 25 {
		s.Get("filetype.ml", "/")
	}
	issued(func(n uint64) bool { return n >= 25 })
}

func isType(t datapb.AccessLogType) func(*datapb.HTTPAccessLogEntry) bool {
	return func(e *datapb.HTTPAccessLogEntry) bool { return e.GetCommonProperties().GetAccessLogType() == t }
}

func serverOf(answer http.HandlerFunc) func(*testing.T) []string {
	return func(t *testing.T) []string { return []string{Server(t, answer)} }
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// deadAddress was free a moment ago.
func deadAddress(t *testing.T) string {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

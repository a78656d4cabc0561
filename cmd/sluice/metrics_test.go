package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

func midway() controller.Snapshot {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	arms := analysis.Arms{Route: config.Key{Namespace: "ml", Name: "filetype"}, Stable: "v1", Candidate: "v2"}
	return controller.Snapshot{
		State: canary.State{
			Route: arms.Route, Stable: "v1", Acked: 6, Proxies: 2,
			Published: config.Split{Epoch: 7, Shares: config.Carve("v1", "v2", 2500, 0)},
			Rollout: &canary.Rollout{
				ID: "v2-1", Stable: "v1", Candidate: "v2", Phase: canary.Stepping, Trips: []canary.Trip{{Number: 1}},
				Passages: []canary.Passage{{Epoch: 6, Weight: 500, Acked: began}, {Epoch: 7, Weight: 2500}},
			},
		},
		Route:      config.RouteSpec{Versions: []config.Version{{Name: "v1"}, {Name: "v2"}}},
		Conditions: []canary.Condition{{Type: canary.Ready, Status: canary.True, Reason: "Serving"}, {Type: canary.Stalled, Status: canary.Unknown, Reason: "Unknown"}},
		Proxies:    []string{"a", "b"},
		LogDelay:   30 * time.Millisecond,
		Assessment: &analysis.Assessment{
			Tests: []analysis.Test{
				{Metric: "errors", Method: "slo", Direction: "rollback", LogE: 1.5, LogNeeded: 5.3},
				{Metric: "errors", Method: "slo", Direction: "rollback", LogE: 0.5, LogNeeded: 5.3, Segment: "tenant-1"},
			},
			Answers: &analysis.Answers{Pairs: 400, Differ: 12},
		},
		Traces: []canary.Trace{{
			Rollout: "v2-1", Arms: arms, Stable: canary.Exposure{Requests: 75}, Candidate: canary.Exposure{Requests: 25, Errors: 2, Mirrored: 3},
			Served: []canary.Served{{Epoch: 7, Stable: 75, Candidate: 25}},
		}},
	}
}

func TestMetricsSayWhatTheSnapshotSays(t *testing.T) {
	e := newExporter(
		func() []controller.Snapshot { return []controller.Snapshot{midway()} },
		func() accesslog.Counts {
			return accesslog.Counts{Requests: 100, Running: 10, Malformed: map[string]uint64{"no cluster": 1}}
		},
	)
	want := `
# HELP sluice_version_weight_ratio Share of traffic of a version: desired, acked by every connected proxy, or observed in access logs.
# TYPE sluice_version_weight_ratio gauge
sluice_version_weight_ratio{name="filetype",namespace="ml",stage="acked",version="v1"} 0.95
sluice_version_weight_ratio{name="filetype",namespace="ml",stage="acked",version="v2"} 0.05
sluice_version_weight_ratio{name="filetype",namespace="ml",stage="desired",version="v1"} 0.75
sluice_version_weight_ratio{name="filetype",namespace="ml",stage="desired",version="v2"} 0.25
sluice_version_weight_ratio{name="filetype",namespace="ml",stage="observed",version="v1"} 0.75
sluice_version_weight_ratio{name="filetype",namespace="ml",stage="observed",version="v2"} 0.25
`
	require.NoError(t, testutil.CollectAndCompare(e, strings.NewReader(want), "sluice_version_weight_ratio"))

	alone := midway()
	alone.State.Proxies = 0
	e.snapshots = func() []controller.Snapshot { return []controller.Snapshot{alone} }
	require.Equal(t, 2, testutil.CollectAndCount(e, "sluice_version_weight_ratio"), "without a proxy nothing is acknowledged or observed")
	e.snapshots = func() []controller.Snapshot { return []controller.Snapshot{midway()} }

	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(e))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)

	answer := httptest.NewRecorder()
	metricsHandler(e).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`sluice_evidence_nats{direction="rollback",method="slo",metric="errors",name="filetype",namespace="ml"} 1.5`,
		`sluice_condition{name="filetype",namespace="ml",reason="Unknown",type="Stalled"} -1`,
		`sluice_rollout_phase{name="filetype",namespace="ml",phase="Stepping"} 1`,
		`sluice_rollout_errors{name="filetype",namespace="ml",role="candidate",version="v2"} 2`,
		`sluice_access_log_entries_total{result="malformed: no cluster"} 1`,
		`sluice_shadow_answers_compared{name="filetype",namespace="ml"} 400`,
		`sluice_shadow_answers_differing{name="filetype",namespace="ml"} 12`,
		`sluice_access_log_entries_total{result="request"} 90`,
		`sluice_access_log_entries_total{result="running"} 10`,
		"go_goroutines",
	} {
		require.Contains(t, answer.Body.String(), line)
	}
}

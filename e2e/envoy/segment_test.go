package envoy

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// requestLog is a Sink that hands requests on as they are.
type requestLog chan analysis.Request

func (l requestLog) Observe(_ string, requests []analysis.Request) {
	for _, r := range requests {
		l <- r
	}
}

func (requestLog) Report(string, []analysis.Load) {}

func (requestLog) Stream(string, bool) {}

func TestRequestsAreToldWithTheirSegmentAndTheirFirstByte(t *testing.T) {
	s := NewStage(t)
	log := make(requestLog, 64)
	listener, err := envoy.Listen(s.Folder.ALS())
	require.NoError(t, err)
	serveLogs(t, log, listener)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Target, cfg.Routes[0].InitialStable = "v2", "v1"
	cfg.Routes[0].Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: 50_000}}}
	cfg.Routes[0].Analysis.Policy = "tenants"
	cfg.Policies = []config.AnalysisPolicy{{
		Key: config.Key{Namespace: filetype.Namespace, Name: "tenants"}, PolicySpec: config.PolicySpec{Segments: &config.Segments{Header: "x-tenant"}},
	}}
	s.Publish(cfg, splitOf(filetype, 3, config.Whole("v1")))
	s.Acked(filetype, 3)
	for _, tt := range []struct{ tenant, forged, want string }{
		{"acme", "", "acme"},
		{"", "", ""},
		{"", "forged", ""},
		{"acme", "forged", "acme"},
	} {
		req := s.Request("filetype.ml", "/v2/x")
		for header, value := range map[string]string{"X-Tenant": tt.tenant, "X-Sluice-Segment": tt.forged} {
			if value != "" {
				req.Header.Set(header, value)
			}
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		r := <-log
		require.Equal(t, tt.want, r.Segment, "%+v", tt)
		require.Positive(t, r.FirstByte)
		require.LessOrEqual(t, r.FirstByte, r.Duration)
	}
}

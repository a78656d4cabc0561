package envoy

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestRequestsAreToldWithTheirSegmentAndTheirFirstByte(t *testing.T) {
	s := NewStage(t)
	log := s.requests()
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
		r := log.next()
		require.Equal(t, tt.want, r.Segment, "%+v", tt)
		require.Positive(t, r.FirstByte)
		require.LessOrEqual(t, r.FirstByte, r.Duration)
	}
}

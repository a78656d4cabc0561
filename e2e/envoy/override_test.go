package envoy

import (
	"io"
	"net/http"
	"testing"

	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

func TestTestersGetTheVersionTheyAskForAndNobodyElseDoes(t *testing.T) {
	s := NewStage(t)
	logs := s.StartLogs()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Matches = []config.Match{
		{Path: &config.PathMatch{Type: config.PathPrefix, Value: "/v2"}},
		{Path: &config.PathMatch{Type: config.PathPrefix, Value: "/v3"}},
	}
	cfg.Routes[0].Overrides = []config.Override{
		{Header: &config.HeaderMatch{Name: "x-tester", Value: "new"}, Version: "v2"},
		{Cookie: &config.CookieMatch{Name: "tester", Value: "new"}, Version: "v2"},
		{Header: &config.HeaderMatch{Name: "x-tester", Type: config.HeaderExpression, Value: "new|old"}, Version: "v1"},
	}
	// Everything is mirrored, and no user gets v2.
	s.Publish(cfg, map[config.Key]config.Split{filetype: {
		Epoch: 9, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: config.WholeSplit},
	}})
	s.Acked(filetype, 9)

	for _, tt := range []struct {
		path, header, cookie string
		code                 int
		stamp                string
	}{
		{"/v2/x", "", "", 200, "v1@9"},
		{"/v2/x", "new", "", 200, "v2@0"},
		{"/v3/x", "new", "", 200, "v2@0"},
		{"/v2/x", "", "new", 200, "v2@0"},
		{"/v2/x", "old", "", 200, "v1@0"},
		{"/v2/x", "old", "new", 200, "v2@0"}, // the first that matches
		{"/v2/x", "newer", "old", 200, "v1@9"},
		{"/else", "new", "new", 404, ""}, // not of the inference route
	} {
		req := s.Request("filetype.ml", tt.path)
		if tt.header != "" {
			req.Header.Set("X-Tester", tt.header)
		}
		if tt.cookie != "" {
			req.AddCookie(&http.Cookie{Name: "tester", Value: tt.cookie})
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, tt.code, resp.StatusCode, "%+v", tt)
		require.Equal(t, tt.stamp, resp.Header.Get("x-sluice"), "%+v", tt)
		if tt.stamp == "" {
			continue
		}
		own := func(e *datapb.HTTPAccessLogEntry) bool {
			return e.GetRequest().GetRequestId() == resp.Header.Get("x-request-id") &&
				e.GetCommonProperties().GetAccessLogType() == datapb.AccessLogType_UpstreamEnd &&
				e.GetRequest().GetRequestHeaders()[name.HeaderShadow] == ""
		}
		entry := logs.next(s, "the attempt", own)
		require.Equal(t, tt.stamp, entry.GetRequest().GetRequestHeaders()[name.HeaderArm])
		_, epoch, err := name.ParseRoute(entry.GetCommonProperties().GetRouteName())
		require.NoError(t, err)
		_, stamped, err := name.ParseArm(tt.stamp)
		require.NoError(t, err)
		require.Equal(t, stamped, epoch)
	}
}

// The unit of a sticky tester is not lost by an override, and an override wins.
func TestAnOverrideWinsOverAUnit(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Stickiness = &config.Stickiness{Cookie: &config.UnitCookie{Name: "unit"}}
	cfg.Routes[0].Overrides = []config.Override{{Header: &config.HeaderMatch{Name: "x-tester", Value: "new"}, Version: "v2"}}
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	for _, unit := range []string{"", "some-unit"} {
		req := s.Request("filetype.ml", "/")
		req.Header.Set("X-Tester", "new")
		if unit != "" {
			req.AddCookie(&http.Cookie{Name: "unit", Value: unit})
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "v2@0", resp.Header.Get("x-sluice"))
		require.Empty(t, resp.Cookies())
	}
}

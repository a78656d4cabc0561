package accesslog

import (
	"testing"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/analysis"
)

// covered is an attempt of a request that was assigned to v3, which v2 covers.
func covered(attempts, cluster string) func(*entrypb.HTTPAccessLogEntry) {
	return func(e *entrypb.HTTPAccessLogEntry) {
		e.Request.RequestHeaders["x-sluice-arm"] = "ml/filetype/v3/v2@17"
		e.Request.RequestHeaders["x-envoy-attempt-count"] = attempts
		e.CommonProperties.UpstreamCluster = cluster
		e.CommonProperties.CustomTags["arm"] = "ml/filetype/v3/v2"
	}
}

func TestAVersionThatWasStoodInForFailedItsRequest(t *testing.T) {
	as := func(version string, attempt uint32) func(*analysis.Request) {
		return func(r *analysis.Request) { r.Version, r.Attempt = version, attempt }
	}
	missed := func(r *analysis.Request) {
		r.Version, r.Attempt, r.Outcome, r.Pod, r.Issued, r.Duration, r.Status = "v3", 0, analysis.Failed, "", false, 0, ""
	}
	for name, tt := range map[string]struct {
		entry *entrypb.HTTPAccessLogEntry
		want  []analysis.Request
	}{
		"the version itself":         {attempt(covered("1", "ml/filetype/v3")), []analysis.Request{answered(as("v3", 1))}},
		"a stand-in for no endpoint": {attempt(covered("1", "ml/filetype/v2")), []analysis.Request{answered(missed), answered(as("v2", 2))}},
		"a retry":                    {attempt(covered("2", "ml/filetype/v2")), []analysis.Request{answered(as("v2", 2))}},
		"an overflow":                {attempt(covered("1", "")), []analysis.Request{answered(as("v3", 1))}},
		"another version's request": {attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.Request.RequestHeaders["x-sluice-arm"] = "ml/filetype/v2@17"
		}), []analysis.Request{answered()}},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := proto.Marshal(tt.entry)
			require.NoError(t, err)
			server := &Server{}

			got := server.read(newAttribution("gateway-1", newTold()), &logMessage{entries: [][]byte{body, body}, whole: true}, nil)

			require.Equal(t, append(tt.want, tt.want...), got)
		})
	}
}

package replay

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
)

func TestAnEntryOfEnvoysIsARequest(t *testing.T) {
	const start = `{"start_time": "2026-01-31T12:00:00.125Z", "duration": 40, `
	base := analysis.Request{
		Version: "v2", Epoch: 7, Pod: "10.0.0.7:8000", Attempt: 1, Issued: true,
		Start: time.Date(2026, 1, 31, 12, 0, 0, 125e6, time.UTC), Duration: 40 * time.Millisecond,
	}
	with := func(change func(*analysis.Request)) analysis.Request {
		r := base
		change(&r)
		return r
	}
	outcome := func(o analysis.Outcome) analysis.Request { return with(func(r *analysis.Request) { r.Outcome = o }) }
	const named = `"upstream_cluster": "ml/filetype/v2", "route_name": "ml/filetype@7", "upstream_host": "10.0.0.7:8000", `
	for _, test := range []struct {
		name, line string
		want       analysis.Request
		whose      of
	}{
		{"an answer", start + named + `"response_code": 200, "response_flags": "-"}`, base, ofArm},
		{"numbers may be in quotes", start + named + `"response_code": "200"}`, base, ofArm},
		{"a server error", start + named + `"response_code": 503, "response_flags": "-"}`, outcome(analysis.Failed), ofArm},
		{"a retry that ran out", start + named + `"response_code": 503, "response_flags": "UF,URX"}`, outcome(analysis.Failed), ofArm},
		{"a time-out", start + named + `"response_code": 504, "response_flags": "UT"}`, outcome(analysis.TimedOut), ofArm},
		{"cut off amid an answer", start + named + `"response_code": 200, "response_flags": "UC"}`, outcome(analysis.TimedOut), ofArm},
		{"a client that left", start + named + `"response_code": 0, "response_flags": "DC"}`, outcome(analysis.Abandoned), ofArm},
		{"a client's fault", start + named + `"response_code": 429, "response_flags": "-"}`, outcome(analysis.ClientFault), ofArm},
		{"a gRPC error by name", start + named + `"response_code": 200, "grpc_status": "Unavailable"}`, outcome(analysis.Failed), ofArm},
		{"a gRPC error by number", start + named + `"response_code": 200, "grpc_status": 5}`, outcome(analysis.ClientFault), ofArm},
		{"a gRPC answer", start + named + `"response_code": 200, "grpc_status": "OK"}`, base, ofArm},
		{"a first byte", start + named + `"response_code": 200, "response_duration": 15, "segment": "acme"}`, with(func(r *analysis.Request) {
			r.FirstByte, r.Segment = 15*time.Millisecond, "acme"
		}), ofArm},
		{"a first byte within a millisecond", start + named + `"response_code": 200, "response_duration": "0"}`, with(func(r *analysis.Request) { r.FirstByte = 1 }), ofArm},
		{"an answer within a millisecond", `{"start_time": "2026-01-31T12:00:00.125Z", "duration": 0, ` + named + `"response_code": 200, "response_duration": 0}`, with(func(r *analysis.Request) {
			r.Duration, r.FirstByte = 1, 1
		}), ofArm},
		{"no first byte", start + named + `"response_code": 200, "response_duration": "-", "x_sluice_tokens": null}`, base, ofArm},
		{"tokens of an answer that came whole", start + named + `"response_code": 200, "x_sluice_tokens": "10"}`, with(func(r *analysis.Request) { r.PerToken = 4 * time.Millisecond }), ofArm},
		{
			"tokens of one that streamed", start + named + `"response_code": 200, "response_duration": 10, "x_sluice_tokens_trailer": "11"}`,
			with(func(r *analysis.Request) { r.FirstByte, r.PerToken = 10*time.Millisecond, 3*time.Millisecond }), ofArm,
		},
		{"a server's own 499", start + named + `"response_code": 499, "response_flags": "-"}`, outcome(analysis.ClientFault), ofArm},
		{"a copy", start + named + `"response_code": 200, "x_sluice_shadow": "v2@7"}`, with(func(r *analysis.Request) { r.Shadow = true }), ofArm},
		{
			"a tester's", start + strings.Replace(named, "@7", "@0", 1) + `"response_code": 503}`,
			with(func(r *analysis.Request) { r.Epoch, r.Pinned, r.Outcome = 0, true, analysis.Failed }), ofArm,
		},
		{
			"a tester's choice", start + `"upstream_cluster": "ml/filetype/v2", "route_name": "ml/filetype@7", "x_sluice_arm": "v2@0", "upstream_host": "10.0.0.7:8000", "response_code": 200}`,
			with(func(r *analysis.Request) { r.Epoch, r.Pinned = 0, true }), ofArm,
		},
		{
			"nobody to send it to", start + `"upstream_cluster": null, "x_sluice_arm": "v2@7", "route_name": "ml/filetype@7", "upstream_host": "-", "response_code": 503, "response_flags": "NC"}`,
			with(func(r *analysis.Request) { r.Pod, r.Outcome = "", analysis.Failed }), ofArm,
		},
		{
			"a cluster that Sluice did not name", start + `"upstream_cluster": "outbound|80|v9|svc", "upstream_host": "10.0.0.7:8000", "route_name": "default", "response_code": 200}`,
			with(func(r *analysis.Request) { r.Version, r.Epoch = "outbound|80|v9|svc", 0 }), ofOther,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, whose, err := newReader("v1", "v2").read([]byte(test.line))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.whose, whose)
		})
	}
}

func TestAWholeClusterMayBeAnArm(t *testing.T) {
	r := newReader("outbound|80|v1|svc", "outbound|80|v2|svc")
	q, whose, err := r.read([]byte(`{"start_time": "2026-01-31T12:00:00Z", "duration": 4, "response_code": 200, "upstream_cluster": "outbound|80|v2|svc"}`))
	require.NoError(t, err)
	require.Equal(t, ofArm, whose)
	require.Equal(t, "outbound|80|v2|svc", q.Version)
}

func TestAStatusSaysWhatBecameOfARequest(t *testing.T) {
	for status, want := range map[string]analysis.Outcome{
		`200`: analysis.Succeeded, `302`: analysis.Succeeded, `0`: analysis.Failed, `500`: analysis.Failed, `504`: analysis.Failed,
		`404`: analysis.ClientFault, `429`: analysis.ClientFault, `499`: analysis.Abandoned,
		`200, "grpc_status": 0`: analysis.Succeeded, `200, "grpc_status": 14`: analysis.Failed, `200, "grpc_status": 3`: analysis.ClientFault,
		`200, "grpc_status": null`: analysis.Succeeded,
	} {
		q, _, err := newReader("v1", "v2").read([]byte(`{"t": 1, "version": "v1", "latency_ms": 1.5, "status": ` + status + `}`))
		require.NoError(t, err)
		require.Equal(t, want, q.Outcome, status)
	}
}

func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"t": 1.5e0, "version": "a\"b", "x": {"t": [1, "}"]}, "pod" :null,"status":200}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"t":[],"status":{},"unit":""}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.TrimSpace(line)
		var got fields
		var want map[string]json.RawMessage
		if json.Unmarshal(line, &want) != nil || want == nil {
			return // what is no object is tested above
		}
		require.NoError(t, got.read(line))
		for _, key := range []string{"t", "version", "pod", "status", "unit", "start_time", "duration"} {
			at, _ := fieldOf([]byte(key))
			if value, there := want[key]; there && got[at] != nil { // a key may be written with escapes, which ours never are
				require.Equal(t, string(value), string(got[at]), key)
			}
		}
	})
}

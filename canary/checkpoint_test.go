package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
)

func TestATraceCountsWhatUsersFelt(t *testing.T) {
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	request := func(o analysis.Outcome, change ...func(*analysis.Request)) analysis.Request {
		r := analysis.Request{Version: "v2", Epoch: 5, Attempt: 1, Start: start, Outcome: o}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	for _, tt := range []struct {
		name string
		r    analysis.Request
		want Exposure
	}{
		{"an answer", request(analysis.Succeeded), Exposure{Requests: 1, First: start, Last: start}},
		{"an error", request(analysis.Failed), Exposure{Requests: 1, Errors: 1, First: start, Last: start}},
		{"a user who lost patience", request(analysis.Abandoned), Exposure{Requests: 1, Abandoned: 1, First: start, Last: start}},
		{"a copy", request(analysis.Failed, func(r *analysis.Request) { r.Shadow = true }), Exposure{Mirrored: 1}},
		{"not a retry", request(analysis.Failed, func(r *analysis.Request) { r.Attempt = 2 }), Exposure{}},
		{"not what still runs", request(analysis.Succeeded, func(r *analysis.Request) { r.Running = true }), Exposure{}},
		{"not what came before the rollout", request(analysis.Failed, func(r *analysis.Request) { r.Epoch = 1 }), Exposure{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace := Trace{Since: 2, Arms: analysis.Arms{Stable: "v1", Candidate: "v2"}}
			trace.Count(tt.r)
			require.Equal(t, tt.want, trace.Candidate)
		})
	}
}

package controller

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/analysis"
)

func TestWhatWouldChangeAVerdictIsWhatItWaitsFor(t *testing.T) {
	a := analysis.Assessment{
		Verdict: analysis.Undecided, LogE: .4, LogNeeded: 5.5,
		Why: analysis.Why{Kind: analysis.WhyEvidence, Metric: "latency-p99", Method: "pod-rank", LogE: 1, LogNeeded: 3},
		Tests: []analysis.Test{ // errors pass by their slo
			{Metric: "errors", Method: "errors-versus-stable", Direction: "promotion", LogNeeded: 4.4},
			{Metric: "errors", Method: "slo", Direction: "promotion", LogE: 9, LogNeeded: 3.3, Passed: true},
			{Metric: "latency-p99", Method: "pod-rank", Direction: "promotion", LogE: 1, LogNeeded: 3},
		},
	}
	assert.Equal(t, "healthy at evidence of 3.0 nats in latency-p99 by pod-rank, now 1.0; "+
		"no request to the candidate was judged: nothing speaks against it yet", remedy(a), "no request came: nothing speaks of harm")
	a.Tests[0].Candidate.N = 12
	assert.Equal(t, "healthy at evidence of 3.0 nats in latency-p99 by pod-rank, now 1.0; "+
		"harmful at evidence of 5.5 nats against it, now 0.4", remedy(a))
	a.Why = analysis.Why{Kind: analysis.WhyShared}
	assert.Equal(t, "harmful at evidence of 5.5 nats against it, now 0.4", remedy(a), "no evidence ends a hold")
}

package analysis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/config"
)

func testArms() Arms {
	return Arms{Route: config.Key{Namespace: "ml", Name: "filetype"}, Stable: "v1", Candidate: "v2"}
}

func percentOf(p float64) *config.Percent {
	max := config.Percent(p * config.PerMillion / 100)
	return &max
}

// errorPolicy judges errors alone, as the default policy does.
func errorPolicy() config.PolicySpec {
	return config.PolicySpec{
		Metrics: []config.Metric{{
			Name: config.MetricErrors, SLO: &config.SLO{Max: percentOf(1)},
			VersusStable: &config.VersusStable{RollbackIf: 1.5, PromoteIf: config.Below{Ratio: 2, OrSLO: true}, Floor: 2000},
		}},
	}.Default()
}

func windowOf(index int64, version string, epoch uint64, pod string, requests, errors int64) Window {
	return Window{
		WindowKey: WindowKey{Index: index, Version: version, Epoch: epoch, Pod: pod},
		Requests:  requests, Errors: errors,
	}
}

// twoArms is windows of equal counts from index first on.
func twoArms(first, n, stable, stableErrors, candidate, candidateErrors int64) []Window {
	var ws []Window
	for i := first; i < first+n; i++ {
		ws = append(ws, windowOf(i, "v1", 1, "a:1", stable, stableErrors), windowOf(i, "v2", 1, "b:1", candidate, candidateErrors))
	}
	return ws
}

func judged(p config.PolicySpec, declared uint32, ws []Window) Assessment {
	e := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws, Shares: map[uint64]uint32{1: declared}})
	return Judge(p, e, time.Unix(1, 0))
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		windows []Window
		share   uint32
		verdict Verdict
		reason  string
	}{
		{"no candidate request is undecided", twoArms(0, 40, 50, 0, 0, 0), 500, Undecided, "no request of candidate v2 has been judged yet; stable v1 had 2000"},
		{"a few good requests are undecided, with what is missing", twoArms(0, 40, 95, 0, 5, 0), 500, Undecided,
			"errors slo ≤ 1% has log-e 1.38 of 3.28: about 190 more candidate requests, 10 s at 20/s"},
		{"many good requests are healthy", twoArms(0, 120, 95, 0, 5, 0), 500, Healthy, "every required promotion test has passed: errors slo ≤ 1% (log-e 4.91 of 3.28)"},
		{"failing where stable does not is harmful", twoArms(0, 120, 95, 0, 5, 1), 500, Harmful, "errors"},
		{"failing where stable fails alike is a hold", twoArms(0, 400, 95, 19, 5, 1), 500, Undecided, "stable breaches errors ≤ 1% too: 20% of its last 26497 requests"},
		{"another split than declared is a hold", twoArms(0, 400, 95, 0, 5, 0), 2500, Undecided, "the candidate got 5% of 40000 requests where 25% was declared"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := judged(errorPolicy(), test.share, test.windows)
			assert.Equal(t, test.verdict, a.Verdict, a.Reason)
			assert.Contains(t, a.Reason, test.reason)
		})
	}
}

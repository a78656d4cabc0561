package live_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
)

func TestASentenceSaysWhatWasSeenAndWhatWouldChangeTheVerdict(t *testing.T) {
	seen := analysis.Estimate{N: 400, Count: 2, Value: .005}
	for want, test := range map[string]analysis.Test{
		"errors of tenant-3 by errors-versus-stable, for rollback: stable 0.5% (2 of 400), candidate 0.5% (2 of 400), ratio 1, at most 4; " +
			"limit >1.5x; evidence 1.50 of 9.00 nats; open: 7.50 nats more, alone, roll back": {
			Metric: "errors", Segment: "tenant-3", Method: "errors-versus-stable", Direction: "rollback", Threshold: ">1.5x",
			LogE: 1.5, LogNeeded: 9, Stable: seen, Candidate: seen, Ratio: analysis.Interval{Estimate: 1, High: 4},
		},
		"errors by slo, for promotion: stable 0.5% (2 of 400), candidate 0.5% (2 of 400), 95% bounds 0.0023% to 2.51%; " +
			"limit ≤ 1%; evidence 1.50 of 3.00 nats; open: passes with about 2 times as much of the same": {
			Metric: "errors", Method: "slo", Direction: "promotion", Threshold: "≤ 1%", LogE: 1.5, LogNeeded: 3, Stable: seen, Candidate: seen,
		},
		"errors by slo, for promotion: stable 0.5% (2 of 400), candidate 0.5% (2 of 400), 95% bounds 0.0023% to 2.51%; " +
			"limit ≤ 1%; evidence -1.50 of 3.00 nats; open: what came so far speaks for no promotion": {
			Metric: "errors", Method: "slo", Direction: "promotion", Threshold: "≤ 1%", LogE: -1.5, LogNeeded: 3, Stable: seen, Candidate: seen,
		},
		"errors by slo, for rollback: no data; limit ≤ 1%": {Metric: "errors", Method: "slo", Direction: "rollback", Threshold: "≤ 1%"},
	} {
		assert.Equal(t, want, live.Sentence(test))
	}
}

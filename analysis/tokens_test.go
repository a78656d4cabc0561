package analysis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/config"
)

// perToken is a policy that judges nothing else.
func perToken() config.PolicySpec {
	return config.PolicySpec{
		Unit: config.Unit{Block: config.Duration(time.Second)}, Warmup: config.Warmup{Requests: 1},
		Metrics: []config.Metric{{
			Name: config.MetricTPOT, Quantiles: []config.Quantile{.5}, SLO: &config.SLO{P99: new(config.Duration(200 * time.Millisecond))},
			VersusStable: &config.VersusStable{RollbackIf: 1.1, PromoteIf: config.Below{Ratio: 1.5}},
		}},
	}.Default()
}

// generations are answers of ten a second and version for a minute; 0 says no tokens.
func generations(stable, candidate time.Duration) []Window {
	var windows []Window
	for i := range int64(240) {
		for version, each := range map[string]time.Duration{"v1": stable, "v2": candidate} {
			w := Window{WindowKey: WindowKey{Index: 1_000_000 + i, Version: version, Epoch: 7, Pod: version}, Requests: 3}
			w.Latencies = Buckets{{Index: Index(time.Second), Count: 3}}
			if each > 0 {
				w.PerToken = Buckets{{Index: Index(each), Count: 2}} // not every answer has tokens
			}
			windows = append(windows, w)
		}
	}
	return windows
}

func judgedBy(p config.PolicySpec, windows []Window) Assessment {
	arms := Arms{Route: config.Key{Namespace: "ml", Name: "llm"}, Stable: "v1", Candidate: "v2"}
	e := NewEvidence(p, arms).Update(p, Closed{Windows: windows, Shares: map[uint64]uint32{7: 5000}})
	return Judge(p, e, time.Unix(0, 0))
}

func TestTheTimePerTokenAgainstStable(t *testing.T) {
	ms := time.Millisecond
	a := judgedBy(perToken(), generations(20*ms, 40*ms))
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
	assert.Contains(t, a.Reason, "tpot-p50 pod-rank >1.1x")
	a = judgedBy(perToken(), generations(20*ms, 20*ms))
	assert.NotEqual(t, Harmful, a.Verdict, a.Reason)
	a = judgedBy(perToken(), generations(20*ms, 300*ms))
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
}

func TestATimePerTokenThatNobodyTellsIsUndecidedAndSaysWhatToDo(t *testing.T) {
	const what = "its server must send x-sluice-tokens, as sluice-serve proxy does in front of it"
	ms := time.Millisecond
	for _, tt := range []struct {
		name              string
		stable, candidate time.Duration
		want              string
	}{
		{"neither", 0, 0, "metric tpot: none of 720 answers of v1 and none of 720 answers of v2 says how many tokens it has: " + what},
		{"stable only", 20 * ms, 0, "metric tpot: none of 720 answers of v2 says how many tokens it has: " + what},
		{"the candidate only", 0, 20 * ms, "metric tpot: none of 720 answers of v1 says how many tokens it has: " + what},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := judgedBy(perToken(), generations(tt.stable, tt.candidate))
			assert.Equal(t, Undecided, a.Verdict)
			assert.Equal(t, tt.want, a.Reason)
			assert.Equal(t, Why{Kind: WhyUnmeasured, Metric: "tpot"}, a.Why)
		})
	}
	few := judgedBy(perToken(), generations(0, 0)[:6])
	assert.NotEqual(t, WhyUnmeasured, few.Why.Kind, "a few answers are not enough to say so")
	assert.NotEqual(t, WhyUnmeasured, judgedBy(config.Standard(), generations(0, 0)).Why.Kind, "where nobody asks")
}

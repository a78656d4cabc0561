package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// metricOf is the policy's metric of a name, or one that tests nothing.
func metricOf(p config.PolicySpec, name config.MetricName) config.Metric {
	for _, m := range p.Metrics {
		if m.Name == name {
			return m
		}
	}
	return config.Metric{Name: name}
}

// blockOf is the policy's block in windows.
func blockOf(p config.PolicySpec) int64 {
	return max(1, int64(p.Unit.Block.D()/WindowLength))
}

// latencyBurst is what a block may add to each alternative of a latency limit,
// in nats. research: statistics §2c.
const latencyBurst = 3

func burstOf(m config.Metric) nats {
	if m.Name.Timed() {
		return latencyBurst * perNat
	}
	return fixed(m.BurstCap)
}

// limitSpec is an absolute limit in the form that both kinds of metric share: at
// most a share of requests may be bad.
type limitSpec struct {
	of                         config.MetricName
	metric                     string        // "errors", "latency-p99"
	share                      float64       // the largest acceptable share of bad requests
	latency                    time.Duration // slower than this is bad; zero where errors are
	surelyAbove, possiblyAbove uint16        // latency as buckets: see surely and possibly
	burst                      nats
	text                       string // as a person writes it
}

// limitsOf lists a policy's absolute limits, errors first, then latencies by
// quantile.
func limitsOf(p config.PolicySpec) []limitSpec {
	var ls []limitSpec
	if m := metricOf(p, config.MetricErrors); m.SLO != nil && m.SLO.Max != nil {
		ls = append(ls, limitSpec{
			of: m.Name, metric: string(m.Name), share: m.SLO.Max.Fraction(), burst: burstOf(m), text: "≤ " + m.SLO.Max.String(),
		})
	}
	for _, name := range timings() {
		ls = append(ls, timeLimitsOf(metricOf(p, name))...)
	}
	return ls
}

func timeLimitsOf(m config.Metric) (ls []limitSpec) {
	if m.SLO == nil {
		return nil
	}
	for _, l := range []struct {
		q    config.Quantile
		most *config.Duration
	}{{0.5, m.SLO.P50}, {0.9, m.SLO.P90}, {0.95, m.SLO.P95}, {0.99, m.SLO.P99}} {
		if l.most != nil {
			spec := limitSpec{
				of: m.Name, metric: quantileName(m.Name, l.q), share: 1 - float64(l.q), latency: l.most.D(), burst: burstOf(m),
				text: l.q.String() + " ≤ " + l.most.String(),
			}
			spec.surelyAbove, spec.possiblyAbove = edgesOf(spec.latency)
			ls = append(ls, spec)
		}
	}
	return ls
}

func quantileName(of config.MetricName, q config.Quantile) string {
	return string(of) + "-" + q.String()
}

// timingCount is how many kinds of times there are.
const timingCount = 3

// timings lists them: how long until the last byte, until the first, and for each token.
func timings() [timingCount]config.MetricName {
	return [timingCount]config.MetricName{config.MetricLatency, config.MetricTTFB, config.MetricTPOT}
}

// surely counts the latencies that are above the limit for certain: the bucket
// that the limit lies in counts as within it.
func (l limitSpec) surely(b Buckets) rate {
	return rate{N: b.Count(), Bad: b.Above(l.surelyAbove)}
}

// possibly counts the latencies that may be above the limit: the bucket that the
// limit lies in counts as above it.
func (l limitSpec) possibly(b Buckets) rate {
	return rate{N: b.Count(), Bad: b.Above(l.possiblyAbove)}
}

// edgesOf are the buckets above which a latency is surely, and possibly, longer than
// a limit.
func edgesOf(limit time.Duration) (surely, possibly uint16) {
	surely = Index(limit)
	if Edge(surely) > limit && surely > 0 {
		return surely, surely - 1
	}
	return surely, surely
}

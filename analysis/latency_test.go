package analysis

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/config"
)

// answers is a window of a pod with five answers that all took as long.
func answers(index int64, version, pod string, took time.Duration) Window {
	w := windowOf(index, version, 1, pod, 5, 0)
	for range w.Requests {
		w.Latencies.Add(took)
	}
	return w
}

// fourPods is windows of two pods of each arm, five requests each.
func fourPods(n int64, stable, candidate func(index int64) time.Duration) []Window {
	var ws []Window
	for i := range n {
		for _, pod := range []string{"a:1", "b:1"} {
			ws = append(ws, answers(i, "v1", pod, stable(i)))
		}
		for _, pod := range []string{"c:1", "d:1"} {
			ws = append(ws, answers(i, "v2", pod, candidate(i)))
		}
	}
	return ws
}

func took(d time.Duration) func(int64) time.Duration {
	return func(int64) time.Duration { return d }
}

// until is one latency before an index and another from there on.
func until(index int64, before, after time.Duration) func(int64) time.Duration {
	return func(i int64) time.Duration {
		if i < index {
			return before
		}
		return after
	}
}

func TestLatencyAgainstStable(t *testing.T) {
	for _, test := range []struct {
		name    string
		warmup  config.Warmup
		slow    func(index int64) time.Duration
		verdict Verdict
		reason  string
	}{
		{"a version twice as slow is harmful", config.Warmup{}, took(200 * time.Millisecond), Harmful, "latency-p50 pod-rank >1.1x"},
		{"an equal one is healthy", config.Warmup{}, took(100 * time.Millisecond), Healthy, "latency-p99 pod-rank <1.33x"},
		{"one that always times out is harmful", config.Warmup{}, took(1 << 62), Harmful, "latency-p50 pod-rank >1.1x"},
		{
			"one that is slow only while it warms up is excused",
			config.Warmup{PerPod: config.Duration(time.Minute), Requests: 1e6},
			until(240, time.Second, 100*time.Millisecond), Healthy, "every required promotion test has passed",
		},
		{
			"but not for longer than a number of requests",
			config.Warmup{PerPod: config.Duration(2 * time.Minute), Requests: 20},
			until(400, time.Second, 100*time.Millisecond), Harmful, "latency-p50",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := latencyPolicy(1.1)
			p.Warmup = test.warmup
			a := judged(p, 5000, fourPods(800, took(100*time.Millisecond), test.slow))
			assert.Equal(t, test.verdict, a.Verdict, a.Reason)
			assert.Contains(t, a.Reason, test.reason)
		})
	}
}

// Nobody waits for the time-out of a version that hangs: its clients leave after 2 s.
func TestAVersionWhoseClientsLosePatienceIsHarmful(t *testing.T) {
	ws := fourPods(800, took(100*time.Millisecond), took(0))
	for i, w := range ws {
		if w.Version == "v2" {
			ws[i] = Window{WindowKey: w.WindowKey}
			for range w.Requests {
				ws[i].count(Request{Outcome: Abandoned, Duration: 2 * time.Second}, 1, 0)
			}
		}
	}
	a := judged(latencyPolicy(1.1), 5000, ws)
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
	assert.Contains(t, a.Reason, "latency-p50 pod-rank >1.1x")
}

// The first bytes of both arms come at once; the candidate's answers begin late.
func TestTheTimeToFirstByteAgainstStable(t *testing.T) {
	p := latencyPolicy(1.1)
	ttfb := p.Metrics[0]
	ttfb.Name, ttfb.SLO = config.MetricTTFB, &config.SLO{P99: new(config.Duration(time.Second))}
	p.Metrics = append(p.Metrics, ttfb)
	same := fourPods(800, took(time.Second), took(time.Second))
	begin := func(stable, candidate time.Duration) []Window {
		ws := slices.Clone(same)
		for i, w := range ws {
			ws[i].FirstBytes = Buckets{{Index: Index(stable), Count: 5}}
			if w.Version == "v2" {
				ws[i].FirstBytes = Buckets{{Index: Index(candidate), Count: 5}}
			}
		}
		return ws
	}
	a := judged(p, 5000, begin(ms(100), ms(200)))
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
	assert.Contains(t, a.Reason, "ttfb-p50 pod-rank >1.1x")
	a = judged(p, 5000, begin(ms(100), ms(100)))
	assert.Equal(t, Healthy, a.Verdict, a.Reason)
	a = judged(p, 5000, begin(2*time.Second, 2*time.Second))
	assert.Equal(t, Undecided, a.Verdict)
	assert.Contains(t, a.Hold, "stable breaches ttfb-p99 p99 ≤ 1s too")
	a = judged(p, 5000, same)
	assert.Equal(t, Undecided, a.Verdict, "no first byte is no health: %s", a.Reason)
}

func TestWarmUpNeverExcusesErrors(t *testing.T) {
	p := fullPolicy()
	p.Warmup = config.Warmup{PerPod: config.Duration(time.Hour), Requests: 1e9}
	a := judged(p, 500, twoArms(200, 95, 0, 5, 2))
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
}

func TestOneStablePodAndOneOfTheCandidateAreCompared(t *testing.T) {
	p := latencyPolicy(1.1)
	var ws []Window
	for i := range int64(40 * 20) {
		ws = append(ws, answers(i, "v1", "a:1", 100*time.Millisecond), answers(i, "v2", "c:1", 200*time.Millisecond))
	}
	a := judged(p, 5000, ws)
	assert.Equal(t, Harmful, a.Verdict, a.Reason)
	assert.LessOrEqual(t, a.Tests[0].LogE, 20*ln(2), "a block of two pods is a toss of a coin")
}

func TestLatencyLimits(t *testing.T) {
	p99 := config.Duration(150 * time.Millisecond)
	limits := config.PolicySpec{Metrics: []config.Metric{{Name: config.MetricLatency, SLO: &config.SLO{P99: &p99}}}}.Default()
	limits.Warmup = config.Warmup{}
	both := latencyPolicy(1.1)
	both.Metrics[0].SLO = &config.SLO{P99: &p99}
	for _, test := range []struct {
		name     string
		p        config.PolicySpec
		slow     time.Duration
		stable   time.Duration
		verdict  Verdict
		sentence string
	}{
		{"slower than the limit is harmful", limits, 200 * time.Millisecond, 100 * time.Millisecond, Harmful, "latency-p99 slo p99 ≤ 150ms"},
		{"faster than the limit is healthy", limits, 100 * time.Millisecond, 100 * time.Millisecond, Healthy, "latency-p99 slo p99 ≤ 150ms"},
		{"slower where stable is, too, is a hold", limits, 200 * time.Millisecond, time.Second, Undecided, "stable breaches latency-p99 p99 ≤ 150ms too"},
		{"and is harmful if it is much slower than stable", both, 400 * time.Millisecond, 200 * time.Millisecond, Harmful, "latency-p50 pod-rank"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := judged(test.p, 5000, fourPods(600, took(test.stable), took(test.slow)))
			assert.Equal(t, test.verdict, a.Verdict, a.Reason)
			assert.Contains(t, a.Reason, test.sentence)
		})
	}
}

func TestALimitWithinABucketPromisesTooLittleEitherWay(t *testing.T) {
	of := func(limit time.Duration) (spec limitSpec) {
		spec.surelyAbove, spec.possiblyAbove = edgesOf(limit)
		return spec
	}
	within := of(Edge(400) - 1)
	var b Buckets
	b.AddIndex(400)
	assert.Zero(t, within.surely(b).Bad)
	assert.Equal(t, int64(1), within.possibly(b).Bad)
	exact := of(Edge(400))
	assert.Zero(t, exact.possibly(b).Bad)
}

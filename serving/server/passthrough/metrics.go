package passthrough

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func withBegan(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, began{}, at)
}

func beganAt(ctx context.Context) (time.Time, bool) {
	at, ok := ctx.Value(began{}).(time.Time)
	return at, ok
}

type metrics struct {
	running        prometheus.Gauge
	answers        *prometheus.CounterVec
	first, request prometheus.Histogram
}

func newMetrics() metrics {
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.005, 2, 16), // to 164 s
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		})
	}
	return metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_passthrough_running", Help: "Requests under way.",
		}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_passthrough_answers_total", Help: "Answers by status; 429 and 502 are ours or the target's.",
		}, []string{"status"}),
		first:   histogram("sluice_passthrough_first_byte_seconds", "Time from a request to the first byte of its answer's body: the first token."),
		request: histogram("sluice_passthrough_request_seconds", "Time from a request to the end of its answer."),
	}
}

func (m metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.running, m.answers, m.first, m.request}
}

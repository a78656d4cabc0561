package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
)

// metrics are those of one model version. The nv_ names and their meaning are
// Triton's, so that its dashboards work; its latencies are cumulative counters
// in microseconds, hence the native histograms beside them.
type metrics struct {
	registry                            *prometheus.Registry
	success, inferences, executions     prometheus.Counter
	failure, refusals                   *prometheus.CounterVec
	requestUS, queueUS                  prometheus.Counter
	inputUS, inferUS, outputUS          prometheus.Counter
	pending, loaded                     prometheus.Gauge
	queue, device, request, batchOfRows prometheus.Histogram
	slack, error, overhead, padding     prometheus.Histogram
	late                                prometheus.Counter
}

// Triton's failure reasons.
const (
	rejected = "REJECTED"
	canceled = "CANCELED"
	backend  = "BACKEND"
	other    = "OTHER"
)

// newProcessMetrics are those of no model.
func newProcessMetrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

func newMetrics(model, version string) *metrics {
	registry := prometheus.NewRegistry()
	r := prometheus.WrapRegistererWith(prometheus.Labels{"model": model, "version": version}, registry)
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 16) // to 16 s
	rows := prometheus.ExponentialBuckets(1, 2, 9)          // to 256
	signed := []float64{-1, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 1}
	small := []float64{0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0004, 0.0005, 0.00075, 0.001, 0.002, 0.005, 0.01, 0.1}
	m := &metrics{
		registry:   registry,
		success:    counter(r, "nv_inference_request_success", "Requests answered by the model."),
		inferences: counter(r, "nv_inference_count", "Rows the model computed."),
		executions: counter(r, "nv_inference_exec_count", "Batches the model ran."),
		requestUS:  counter(r, "nv_inference_request_duration_us", "Time from arrival to answer, summed over answered requests."),
		queueUS:    counter(r, "nv_inference_queue_duration_us", "Time waited for a batch and a device, summed over answered requests."),
		inputUS:    counter(r, "nv_inference_compute_input_duration_us", "Time joining inputs, summed over answered requests."),
		inferUS:    counter(r, "nv_inference_compute_infer_duration_us", "Time in the model, summed over answered requests."),
		outputUS:   counter(r, "nv_inference_compute_output_duration_us", "Time taking outputs apart, summed over answered requests."),
		failure:    counters(r, "nv_inference_request_failure", "Requests not answered by the model, by Triton's reasons.", "reason"),
		refusals: counters(r, "sluice_serving_refused_total",
			"Requests that were not run: full and late on arrival, expired, cancelled or stopping while waiting.", "reason"),
		pending:     gauge(r, "nv_inference_pending_request_count", "Requests that wait now."),
		loaded:      gauge(r, "nv_model_load_duration_secs", "Time the warm-up took."),
		queue:       histogram(r, "sluice_serving_queue_seconds", "Time waited for a batch and a device, per answered request.", seconds),
		request:     histogram(r, "sluice_serving_request_seconds", "Time from arrival to answer, per answered request.", seconds),
		device:      histogram(r, "sluice_serving_device_seconds", "Time in the model, per batch.", seconds),
		batchOfRows: histogram(r, "sluice_serving_batch_rows", "Rows of requests per batch.", rows),
		slack: histogram(r, "sluice_serving_deadline_slack_seconds",
			"Time left to the deadline, per answered request that had one; late ones are negative.", signed),
		error: histogram(r, "sluice_serving_prediction_error_seconds", "Time in the model less what was predicted, per batch.", signed),
		overhead: histogram(r, "sluice_serving_overhead_seconds",
			"Time from a request's headers to its answer, less queue, model and, over HTTP, the wait for its body, per answered request.", small),
		padding: histogram(r, "sluice_serving_padding_ratio", "Share of a batch's input that was padding, per batch.",
			prometheus.LinearBuckets(0, 0.1, 10)),
		late: counter(r, "sluice_serving_late_total", "Requests answered after their deadline."),
	}
	for _, reason := range []string{rejected, canceled, backend, other} {
		m.failure.WithLabelValues(reason) // shown as 0 from the start
	}
	return m
}

func counter(r prometheus.Registerer, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.MustRegister(c)
	return c
}

func counters(r prometheus.Registerer, name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	r.MustRegister(c)
	return c
}

func gauge(r prometheus.Registerer, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	r.MustRegister(g)
	return g
}

// histogram is a native one, with a few classic buckets beside it for those who
// do not read native ones.
func histogram(r prometheus.Registerer, name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		NativeHistogramMinResetDuration: time.Hour,
		NativeHistogramMaxExemplars:     10, NativeHistogramExemplarTTL: time.Minute,
	})
	r.MustRegister(h)
	return h
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// ran counts a batch that came back from the model.
func (m *metrics) ran(j *job) {
	m.executions.Inc()
	m.device.Observe(j.spent.Device.Seconds())
	m.error.Observe((j.spent.Device - j.expected).Seconds())
	m.batchOfRows.Observe(float64(j.items))
	m.padding.Observe(j.padding)
	if j.err != nil {
		m.failure.WithLabelValues(backend).Add(float64(j.ran - j.saved))
		m.inferences.Add(float64(j.savedItems))
		return
	}
	m.inferences.Add(float64(j.items))
}

// answered counts a request with its share of the batch's time.
func (m *metrics) answered(c *call, j *job) {
	now, s := time.Now(), j.spent
	total, waited := now.Sub(c.arrived), j.waited(c)
	m.success.Inc()
	m.requestUS.Add(us(total))
	m.queueUS.Add(us(waited))
	m.inputUS.Add(us(s.Before))
	m.inferUS.Add(us(s.Device))
	m.outputUS.Add(us(total - waited - s.Before - s.Device))
	observe(m.request, total.Seconds(), c.asked.trace)
	observe(m.queue, waited.Seconds(), c.asked.trace)
	if !c.asked.deadline.IsZero() {
		slack := c.asked.deadline.Sub(now)
		observe(m.slack, slack.Seconds(), c.asked.trace)
		if slack < 0 {
			m.late.Inc()
		}
	}
}

// left counts what a request took besides queue and model. What a caller's body
// kept us waiting for is not of it: arrived is later by as much.
func (m *metrics) left(arrived time.Time, out outcome) {
	m.overhead.Observe((time.Since(arrived) - out.waited - out.ran).Seconds())
}

// observe keeps the trace of a sampled request as an exemplar.
func observe(h prometheus.Histogram, value float64, t trace.SpanContext) {
	exemplars, ok := h.(prometheus.ExemplarObserver)
	if !ok || !t.IsSampled() {
		h.Observe(value)
		return
	}
	exemplars.ObserveWithExemplar(value, prometheus.Labels{"trace_id": t.TraceID().String()})
}

// refused counts a request that was not run.
func (m *metrics) refused(reason string) {
	m.refusals.WithLabelValues(reason).Inc()
	switch reason {
	case "cancelled":
		m.failure.WithLabelValues(canceled).Inc()
	case "invalid", "stopping":
		m.failure.WithLabelValues(other).Inc()
	default:
		m.failure.WithLabelValues(rejected).Inc()
	}
}

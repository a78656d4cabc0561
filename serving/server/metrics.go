package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are those of one model version. The nv_ names and their meaning are
// Triton's, so that its dashboards work; its latencies are cumulative counters
// in microseconds, hence the native histograms beside them.
type metrics struct {
	success, inferences, executions     prometheus.Counter
	failure, refusals                   *prometheus.CounterVec
	requestUS, queueUS                  prometheus.Counter
	inputUS, inferUS, outputUS          prometheus.Counter
	pending, loaded                     prometheus.Gauge
	queue, device, request, batchOfRows prometheus.Histogram
}

// Triton's failure reasons.
const (
	rejected = "REJECTED"
	canceled = "CANCELED"
	backend  = "BACKEND"
	other    = "OTHER"
)

func newMetrics(model, version string) (*prometheus.Registry, *metrics) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r := prometheus.WrapRegistererWith(prometheus.Labels{"model": model, "version": version}, registry)
	m := &metrics{
		success:    counter(r, "nv_inference_request_success", "Requests answered by the model."),
		inferences: counter(r, "nv_inference_count", "Rows the model computed."),
		executions: counter(r, "nv_inference_exec_count", "Batches the model ran."),
		requestUS:  counter(r, "nv_inference_request_duration_us", "Time from arrival to answer, summed over answered requests."),
		queueUS:    counter(r, "nv_inference_queue_duration_us", "Time waited, summed over answered requests."),
		inputUS:    counter(r, "nv_inference_compute_input_duration_us", "Time joining inputs, summed over answered requests."),
		inferUS:    counter(r, "nv_inference_compute_infer_duration_us", "Time in the model, summed over answered requests."),
		outputUS:   counter(r, "nv_inference_compute_output_duration_us", "Time taking outputs apart, summed over answered requests."),
		failure:    counters(r, "nv_inference_request_failure", "Requests not answered by the model, by Triton's reasons.", "reason"),
		refusals: counters(r, "sluice_serving_refused_total",
			"Requests that were not run: full and late on arrival, expired, cancelled or stopping while waiting.", "reason"),
		pending:     gauge(r, "nv_inference_pending_request_count", "Requests that wait now."),
		loaded:      gauge(r, "nv_model_load_duration_secs", "Time the warm-up took."),
		queue:       histogram(r, "sluice_serving_queue_seconds", "Time waited, per answered request."),
		request:     histogram(r, "sluice_serving_request_seconds", "Time from arrival to answer, per answered request."),
		device:      histogram(r, "sluice_serving_device_seconds", "Time in the model, per batch."),
		batchOfRows: histogram(r, "sluice_serving_batch_rows", "Rows per batch."),
	}
	for _, reason := range []string{rejected, canceled, backend, other} {
		m.failure.WithLabelValues(reason) // shown as 0 from the start
	}
	return registry, m
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

func histogram(r prometheus.Registerer, name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Help: help,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		NativeHistogramMinResetDuration: time.Hour,
	})
	r.MustRegister(h)
	return h
}

// spent is where a batch's time went.
type spent struct{ input, infer, output time.Duration }

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// ran counts a batch that came back from the model.
func (m *metrics) ran(j job, s spent, err error) {
	m.executions.Inc()
	m.device.Observe(s.infer.Seconds())
	m.batchOfRows.Observe(float64(j.items))
	if err != nil {
		m.failure.WithLabelValues(backend).Add(float64(len(j.calls)))
		return
	}
	m.inferences.Add(float64(j.items))
	for _, c := range j.calls {
		m.answered(c, s)
	}
}

func (m *metrics) answered(c *call, s spent) {
	total, waited := time.Since(c.arrived), c.started.Sub(c.arrived)
	m.success.Inc()
	m.requestUS.Add(us(total))
	m.queueUS.Add(us(waited))
	m.inputUS.Add(us(s.input))
	m.inferUS.Add(us(s.infer))
	m.outputUS.Add(us(s.output))
	m.request.Observe(total.Seconds())
	m.queue.Observe(waited.Seconds())
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

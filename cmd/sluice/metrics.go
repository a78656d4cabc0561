package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/accesslog"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// exporter gives /metrics from snapshots, so that a metric never disagrees with
// what `sluice get` says.
type exporter struct {
	snapshots func() []controller.Snapshot
	counts    func() accesslog.Counts

	weight, epoch, phase, condition, requests, errors, mirrored *prometheus.Desc
	evidence, needed, trips, proxies, delay, logs               *prometheus.Desc
	compared, differing                                         *prometheus.Desc
}

func newExporter(snapshots func() []controller.Snapshot, counts func() accesslog.Counts) *exporter {
	route := []string{"namespace", "name"}
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_"+name, help, append(route[:2:2], more...), nil)
	}
	return &exporter{
		snapshots: snapshots,
		counts:    counts,
		weight: desc("version_weight_ratio",
			"Share of traffic of a version: desired, acked by every connected proxy, or observed in access logs.", "version", "stage"),
		epoch:     desc("epoch", "Epoch of the split: desired, or acked by every connected proxy.", "stage"),
		phase:     desc("rollout_phase", "1 for the phase the inference route is in.", "phase"),
		condition: desc("condition", "1 where a condition is True, 0 where it is False, -1 where it is Unknown.", "type", "reason"),
		requests:  desc("rollout_requests", "Live requests of the newest rollout, by arm.", "version", "role"),
		errors:    desc("rollout_errors", "Live requests of the newest rollout that failed, by arm.", "version", "role"),
		mirrored:  desc("rollout_mirrored", "Mirrored copies of the newest rollout, by arm.", "version", "role"),
		evidence:  desc("evidence_nats", "Log e-value of a test of the running rollout.", "metric", "method", "direction"),
		needed:    desc("evidence_needed_nats", "Log e-value at which a test of the running rollout decides.", "metric", "method", "direction"),
		compared:  desc("shadow_answers_compared", "Copied requests of the shadow, or of the newest rollout, whose answers were compared."),
		differing: desc("shadow_answers_differing", "Of those, the ones to which the shadow gave another answer than stable."),
		trips:     desc("rollout_trips", "Trips of the newest rollout."),
		proxies:   desc("proxies", "Connected proxies."),
		delay:     desc("log_delay_seconds", "Time from a request's end to its log entry, lately."),
		logs:      prometheus.NewDesc("sluice_access_log_entries_total", "Access-log entries, by what became of them.", []string{"result"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (e *exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		e.weight, e.epoch, e.phase, e.condition, e.requests, e.errors, e.mirrored,
		e.evidence, e.needed, e.trips, e.proxies, e.delay, e.logs, e.compared, e.differing,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e *exporter) Collect(ch chan<- prometheus.Metric) {
	for _, s := range e.snapshots() {
		e.collectRoute(s, gauge(ch, s.State.Route.Namespace, s.State.Route.Name))
	}
	counts := e.counts()
	count := func(result string, n uint64) {
		ch <- prometheus.MustNewConstMetric(e.logs, prometheus.CounterValue, float64(n), result)
	}
	count("request", counts.Requests-counts.Running)
	count("running", counts.Running)
	count("left out", counts.LeftOut)
	for what, n := range counts.Malformed {
		count("malformed: "+what, n)
	}
}

// set sends one gauge of a route.
type set func(d *prometheus.Desc, v float64, labels ...string)

func gauge(ch chan<- prometheus.Metric, route ...string) set {
	return func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append(route[:2:2], labels...)...)
	}
}

func (e *exporter) collectRoute(s controller.Snapshot, set set) {
	set(e.epoch, float64(s.State.Published.Epoch), "desired")
	set(e.epoch, float64(s.State.Acked), "acked")
	set(e.proxies, float64(len(s.Proxies)))
	set(e.delay, s.LogDelay.Seconds())
	phases := map[canary.Phase]float64{s.State.Phase(): 1}
	for _, p := range canary.Phases() {
		set(e.phase, phases[p], string(p))
	}
	for _, c := range s.Conditions {
		set(e.condition, truth(c.Status), string(c.Type), c.Reason)
	}
	for _, v := range s.Route.Versions {
		set(e.weight, float64(s.State.Published.Weight(v.Name))/10000, v.Name, "desired")
	}
	e.collectTrace(s, set)
	if s.State.Rollout != nil && s.Assessment != nil {
		e.collectTests(s.Assessment.Tests, set)
	}
	if s.Assessment != nil && s.Assessment.Answers != nil {
		set(e.compared, float64(s.Assessment.Answers.Pairs))
		set(e.differing, float64(s.Assessment.Answers.Differ))
	}
}

func (e *exporter) collectTrace(s controller.Snapshot, set set) {
	if len(s.Traces) == 0 {
		return
	}
	trace := s.Traces[0]
	for _, arm := range []struct {
		version, role string
		seen          canary.Exposure
	}{{trace.Arms.Stable, "stable", trace.Stable}, {trace.Arms.Candidate, "candidate", trace.Candidate}} {
		set(e.requests, float64(arm.seen.Requests), arm.version, arm.role)
		set(e.errors, float64(arm.seen.Errors), arm.version, arm.role)
		set(e.mirrored, float64(arm.seen.Mirrored), arm.version, arm.role)
	}
	if r := s.State.Rollout; r != nil {
		set(e.trips, float64(len(r.Trips)))
		e.collectReach(s, trace, set)
	}
}

// collectReach gives the shares of both arms of the rollout that runs.
func (e *exporter) collectReach(s controller.Snapshot, trace canary.Trace, set set) {
	r := s.State.Rollout
	reach, _ := s.State.Reach(trace)
	for stage, weight := range map[string]*uint32{"acked": reach.Acked, "observed": reach.Observed} {
		if weight != nil {
			set(e.weight, float64(*weight)/config.WholeSplit, r.Candidate, stage)
			set(e.weight, 1-float64(*weight)/config.WholeSplit, r.Stable, stage)
		}
	}
}

func (e *exporter) collectTests(tests []analysis.Test, set set) {
	for _, t := range tests {
		if t.Segment != "" {
			continue // tenants are too many to be labels
		}
		set(e.evidence, t.LogE, t.Metric, t.Method, t.Direction)
		set(e.needed, t.LogNeeded, t.Metric, t.Method, t.Direction)
	}
}

func truth(s canary.ConditionStatus) float64 {
	switch s {
	case canary.True:
		return 1
	case canary.False:
		return 0
	case canary.Unknown:
	}
	return -1
}

// metricsHandler serves the exporter beside Go's and the process' own metrics.
func metricsHandler(e *exporter) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(e, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

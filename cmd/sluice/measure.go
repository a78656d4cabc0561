package main

import (
	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/prom"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// measured tells a Poller which rollouts have metrics of their own, and the
// controllers what was measured.
type measured struct{ manager *controller.Manager }

// Subjects are the rollouts whose candidate has requests: of another there is
// nothing to measure.
func (m measured) Subjects() (subjects []prom.Subject) {
	for _, s := range m.manager.Snapshots() {
		r := s.State.Rollout
		if r == nil || s.State.Published.Weight(r.Candidate) == 0 {
			continue
		}
		subject := prom.Subject{
			Arms:    analysis.Arms{Route: s.State.Route, Stable: r.Stable, Candidate: r.Candidate},
			Rollout: r.ID, Epoch: s.State.Published.Epoch, Metrics: ownMetrics(r.Policy),
		}
		if len(subject.Metrics) > 0 {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

func ownMetrics(p config.PolicySpec) (own []config.Metric) {
	for _, m := range p.Metrics {
		if m.Prometheus != nil {
			own = append(own, m)
		}
	}
	return own
}

// Measured brings a measurement to its rollout.
func (m measured) Measured(s prom.Subject, seen analysis.Measurement) {
	m.manager.Measured(s.Arms.Route, s.Rollout, seen)
}

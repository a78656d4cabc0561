package config

import _ "embed" // the built-in policy is a file, so that it can carry its explanation

//go:embed standard.yaml
var standardYAML string

// StandardYAML is the built-in policy as a user would write it, every field of a
// policy explained.
func StandardYAML() string { return standardYAML }

// Standard is the built-in policy: one healthy version in 200 rolled back by
// chance, one harmful one in 20 promoted, and no absolute limit of latency, which
// nobody but the user knows.
func Standard() PolicySpec {
	slo := Percent(1 * perPercent)
	return PolicySpec{
		Metrics: []Metric{
			{
				Name:         MetricErrors,
				Weight:       0.4,
				SLO:          &SLO{Max: &slo},
				VersusStable: &VersusStable{RollbackIf: 1.5, PromoteIf: Below{Ratio: 2, OrSLO: true}, Floor: perPercent / 5},
			},
			{
				Name:         MetricLatency,
				Weight:       0.6,
				VersusStable: &VersusStable{RollbackIf: 1.10, PromoteIf: Below{Ratio: 1.30}},
			},
		},
	}.Default()
}

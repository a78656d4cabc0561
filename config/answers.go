package config

// MetricAnswers is what a shadow answers, beside what stable answered to the same
// request.
const MetricAnswers MetricName = "answers"

// Compare says when two answers to one request are alike. Nothing of it is on a user's
// path: both answers are known from access logs.
type Compare struct {
	// By is status or digest.
	By Comparator `json:"by"`
	// Within is how long the answers to one request are waited for, from the first of
	// them. Default 10s.
	Within Duration `json:"within" default:"10s"`
}

// Comparator is what has to be the same.
type Comparator string

// Comparators.
const (
	CompareStatus Comparator = "status" // the HTTP status, or that of gRPC
	// CompareDigest is the status, and what the server says of its answer in the header
	// or trailer x-sluice-digest: a hash of it, or its label.
	CompareDigest Comparator = "digest"
)

// Answers is the metric that compares a shadow's answers, and whether there is one.
func (s PolicySpec) Answers() (Metric, bool) {
	for _, m := range s.Metrics {
		if m.Name == MetricAnswers && m.Compare != nil {
			return m, true
		}
	}
	return Metric{}, false
}

// Elsewhere says whether the metric is of anything else than users' requests.
func (m Metric) Elsewhere() bool { return m.Prometheus != nil || m.Compare != nil }

// Twice says whether the metric needs a second answer of stable to each copied request:
// how often those differ is what the shadow's are measured by.
func (m Metric) Twice() bool { return m.Compare != nil && m.VersusStable != nil }

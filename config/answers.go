package config

// MetricAnswers is what a shadow answers, beside what stable answered to the same
// request.
const MetricAnswers MetricName = "answers"

// Compare says when two answers to one request are alike. Nothing of it is on a user's
// path: answers are known from access logs or, where their bodies are compared, from
// copies that nobody waits for.
type Compare struct {
	// By is status, digest, json, label, topK, numeric or cosine. All but the first two
	// read bodies of up to 256 KiB: stable is sent a copy of each copied request, too, so
	// that no answer that a user waits for is read.
	By Comparator `json:"by"`
	// Field is where in a JSON body it is compared: names, and numbers for the elements of
	// lists, with dots between them, as outputs.0.data. Required of label, topK, numeric
	// and cosine. Default of json: the whole body.
	Field string `json:"field,omitempty"`
	// Top is how many of the largest numbers topK compares. Default 5.
	Top int `json:"top,omitempty"`
	// Tolerance is how much a number may differ, as a part of the largest of stable's in
	// the field, or how far the cosine of two embeddings may be below 1. Required of
	// numeric and cosine.
	Tolerance Percent `json:"tolerance,omitempty"`
	// Ignore are fields of bodies that are neither compared nor shown. Only of json.
	Ignore []string `json:"ignore,omitempty"`
	// Hide are fields of bodies that are compared, and shown to nobody: not in the examples
	// of answers that differ.
	Hide []string `json:"hide,omitempty"`
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
	CompareDigest  Comparator = "digest"
	CompareJSON    Comparator = "json"    // the same values, however they are written
	CompareLabel   Comparator = "label"   // the same value of a field
	CompareTopK    Comparator = "topK"    // the same largest numbers of a list, by their places
	CompareNumeric Comparator = "numeric" // numbers, each within a tolerance
	CompareCosine  Comparator = "cosine"  // embeddings, of about the same direction
)

// Bodies says whether the bodies of answers are read for it.
func (b Comparator) Bodies() bool {
	switch b {
	case CompareJSON, CompareLabel, CompareTopK, CompareNumeric, CompareCosine:
		return true
	case CompareStatus, CompareDigest:
	}
	return false
}

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

// Copies is how many copies of each copied request stable is sent: where bodies are
// read, one in place of the answer that users get; and one more where it is asked twice.
func (m Metric) Copies() (n int) {
	if m.Compare != nil && m.Compare.By.Bodies() {
		n++
	}
	if m.Twice() {
		n++
	}
	return n
}

package config

// AnalysisPolicy says when a candidate is harmful, when it is healthy, and how
// sure to be. It is copied into a rollout when that starts.
type AnalysisPolicy struct {
	Key        `json:"-"`
	Metadata   `json:"-"`
	PolicySpec `json:"spec"`
}

// PolicySpec is the spec of an AnalysisPolicy. standard.yaml explains every
// field; what may be left out has its default in a tag.
type PolicySpec struct {
	Confidence Confidence `json:"confidence"`
	Limits     Limits     `json:"limits"`
	Warmup     Warmup     `json:"warmup"`
	Unit       Unit       `json:"unit"`
	Metrics    []Metric   `json:"metrics"`
	// Segments watches parts of the requests for errors and times of their own. Default
	// none.
	Segments *Segments `json:"segments,omitempty"`
	Trip     Trip      `json:"trip"`
}

// Confidence bounds the two mistakes, per rollout.
type Confidence struct {
	// FalseRollback is the chance that a healthy candidate is ever rolled back, over
	// all tests and looks. Default 0.5%.
	FalseRollback Percent `json:"falseRollback" default:"0.5%"`
	// FalsePromotion is the chance that a candidate outside its promotion limits is
	// ever promoted. Default 5%.
	FalsePromotion Percent `json:"falsePromotion" default:"5%"`
}

// Limits bound steps and rollouts.
type Limits struct {
	MinStep            Duration `json:"minStep" default:"60s"`            // least time of a weight step without `for`; default 60s
	MinRequestsPerStep int64    `json:"minRequestsPerStep" default:"300"` // candidate requests; default 300
	MaxDuration        Duration `json:"maxDuration" default:"45m"`        // of the rollout; default 45m
	// OnInconclusive acts when maxDuration has passed without a decision: Hold,
	// Promote or Rollback. Default Hold.
	OnInconclusive Fallback `json:"onInconclusive" default:"Hold"`
	// ProgressDeadline rolls back a candidate that has had no ready endpoint for so
	// long. Default 10m.
	ProgressDeadline Duration `json:"progressDeadline" default:"10m"`
	// MaxBlind retreats to the first step, reversibly, when the verdict has been
	// blind for so long. Default 2m.
	MaxBlind Duration `json:"maxBlind" default:"2m"`
	// AckTimeout is how long a publish waits for a connected proxy before the proxy
	// is named as stuck and no longer waited for. Default 10s.
	AckTimeout Duration `json:"ackTimeout" default:"10s"`
}

// Fallback is what happens when evidence does not decide.
type Fallback string

// Fallbacks.
const (
	FallbackHold     Fallback = "Hold"
	FallbackPromote  Fallback = "Promote"
	FallbackRollback Fallback = "Rollback"
	FallbackRetry    Fallback = "Retry" // trip.onTrip only: try again at the first step
)

// Warmup is what latency comparisons leave out at the start of every candidate
// pod; it ends with whichever of the two passes first. Errors are never excused.
type Warmup struct {
	PerPod   Duration `json:"perPod" default:"30s"`   // default 30s
	Requests int64    `json:"requests" default:"200"` // default 200
}

// Unit says what is independent.
type Unit struct {
	// Block is how long a latency block lasts; it must exceed the queues'
	// relaxation time. Default 10s.
	Block Duration `json:"block" default:"10s"`
}

// Metric is one thing that is judged: errors, latency, the time to first byte, the time
// per token, a shadow's answers, or one of your own from Prometheus.
type Metric struct {
	Name MetricName `json:"name"`
	// Weight is this metric's part of the rollback error. All metrics' weights are
	// scaled to sum to one. Default 1.
	Weight float64 `json:"weight" default:"1"`
	// Quantiles of latency, of the time to first byte, or of the time per token, that are
	// compared with stable. Default p50, p95, p99.
	Quantiles []Quantile `json:"quantiles,omitempty"`
	// SLO is an absolute limit: rollback above it, promotion evidence below.
	SLO *SLO `json:"slo,omitempty"`
	// VersusStable compares with stable, in the same windows. Of answers, it compares how
	// often the shadow's differ from stable's with how often stable's differ from
	// themselves: copies go to stable, too, which then answers those requests twice, and
	// the SLO is no limit for rollback.
	VersusStable *VersusStable `json:"versusStable,omitempty"`
	// BurstCap bounds what one block, or one reading of counts from Prometheus, may add
	// to each grid point, in nats. Only errors and counts. Default 3.
	BurstCap float64 `json:"burstCap,omitempty"`
	// Compare says when two answers are alike. Only answers.
	Compare *Compare `json:"compare,omitempty"`
	// Prometheus is where a metric of your own comes from: one of another name than
	// Sluice's.
	Prometheus *Prometheus `json:"prometheus,omitempty"`
}

// MetricName is errors, latency, ttfb, tpot, answers, or the name of a metric of your own.
type MetricName string

// Metrics.
const (
	MetricErrors  MetricName = "errors"
	MetricLatency MetricName = "latency"
	MetricTTFB    MetricName = "ttfb" // time to the first byte of the answer
	// MetricTPOT is the time per output token, of answers whose server says in the trailer
	// x-sluice-tokens, or in the header where they come whole, how many they have.
	MetricTPOT MetricName = "tpot"
)

// Timed says whether it is a time, that has quantiles.
func (n MetricName) Timed() bool { return n == MetricLatency || n == MetricTTFB || n == MetricTPOT }

// Prometheus is a metric of your own: two counters, or one gauge, asked for each version
// by the same query. A query is PromQL; in it $version is the version's name,
// $namespace and $name are the inference route's.
type Prometheus struct {
	// URL of the server, as http://prometheus.monitoring:9090.
	URL string `json:"url"`
	// Bad and Total are counters as they are, with no rate() around them: of what went
	// wrong, and of all. Both or neither.
	Bad   string `json:"bad,omitempty"`
	Total string `json:"total,omitempty"`
	// Value is a gauge, or anything else that is no count: the larger, the worse. Its
	// readings say no more than which version's is larger, one time in unit.block.
	Value string `json:"value,omitempty"`
	// Interval is the time from one reading to the next. Default 15s.
	Interval Duration `json:"interval" default:"15s"`
	// Stale is how old a sample may be. Default 1m.
	Stale Duration `json:"stale" default:"1m"`
}

// Counts says whether the metric is counters.
func (p Prometheus) Counts() bool { return p.Value == "" }

// Segments are parts of the requests, such as those of a tenant or in a language.
type Segments struct {
	Header string `json:"header"` // of the request, whose value names the segment
	// Max is how many segments are watched, the first ones that come. Default 20.
	Max int `json:"max" default:"20"`
}

// SLO is an absolute limit.
type SLO struct {
	Max *Percent  `json:"max,omitempty"` // errors, counts and answers: largest acceptable share of bad ones
	P50 *Duration `json:"p50,omitempty"` // latency: half of the requests at most this slow
	P90 *Duration `json:"p90,omitempty"`
	P95 *Duration `json:"p95,omitempty"`
	P99 *Duration `json:"p99,omitempty"`
}

// VersusStable compares a candidate with stable.
type VersusStable struct {
	RollbackIf Above `json:"rollbackIf"` // as ">1.5x"
	// PromoteIf must be above RollbackIf: "<2x", or "<2x or slo" where meeting the
	// SLO is enough.
	PromoteIf Below `json:"promoteIf"`
	// Floor is an error rate below which a worse candidate is not rolled back.
	Floor Percent `json:"floor,omitempty"`
}

// Trip is the fast, reversible part: weight to zero at once on strong
// suspicion, then mirrored traffic settles it.
type Trip struct {
	// Level of certainty that fires: 99.9% asks for an e-value of 1,000. Default 99.9%.
	Level Percent `json:"level" default:"99.9%"`
	// Latency is how much slower than stable the candidate must be to count as an
	// exceedance. Default ">1.25x".
	Latency Above `json:"latency" default:">1.25x"`
	// Settle bounds how long mirrored traffic may take to confirm or clear.
	// Default 60s.
	Settle Duration `json:"settle" default:"60s"`
	// OnTrip decides when nothing settled it, or mirroring is forbidden: Rollback,
	// Hold or Retry. Default Hold.
	OnTrip Fallback `json:"onTrip" default:"Hold"`
	// Limit is the number of trips of one attempt at which it is rolled back.
	// Default 3.
	Limit int `json:"limit" default:"3"`
}

// DefaultPolicy is the name of the built-in policy.
const DefaultPolicy = "standard"

package config

// Protect spares users failures of a candidate.
type Protect struct {
	// RetryOnStable sends again to stable what the candidate failed. Default: nothing.
	RetryOnStable *RetryOnStable `json:"retryOnStable,omitempty"`
}

// RetryOnStable gives requests that the candidate failed, or that found no ready
// endpoint of it, to stable, once each. The evidence counts them as the candidate's
// failures all the same. Stable's own failures are not tried again, nor is a time-out,
// an answer that has begun, a request over 1 MiB, or one that the candidate has no
// room for: an overflow takes its share away. A step of 100% leaves nobody to retry
// on.
type RetryOnStable struct {
	// On says which failures. Default connect-failure and 5xx.
	On []Failure `json:"on,omitempty"`
	// Budget is the most of the inference route's requests that stable takes over, so
	// what a failing candidate can add to its load: of a candidate with a larger share
	// only so much is covered. Default 20%.
	Budget Percent `json:"budget" default:"20%"`
}

// Failure is a way in which a version fails a request.
type Failure string

// Failures that may be tried again.
const (
	// FailureConnect is a connection that the version did not take.
	FailureConnect Failure = "connect-failure"
	// Failure5xx is an answer of 500 or above, or none: a connection that the version
	// took and broke. With protocol grpc the statuses INTERNAL and UNAVAILABLE, too, if
	// they come before any message.
	Failure5xx Failure = "5xx"
)

func defaultFailures() []Failure { return []Failure{FailureConnect, Failure5xx} }

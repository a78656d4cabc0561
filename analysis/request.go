package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Request is one attempt at an upstream, or a downstream request that had no
// attempt, as one access-log entry told it.
type Request struct {
	Route   config.Key
	Version string // the arm that served it, or would have
	Epoch   uint64 // of the split that sent it there
	Pod     string // upstream host:port; empty where there was no attempt
	Proxy   string // node id of the Envoy that logged it

	Start    time.Time
	Duration time.Duration // of the attempt, to the last byte
	// FirstByte is when the first byte of the answer came, from the start. 0: none came,
	// or nobody knows.
	FirstByte time.Duration
	// PerToken is how long a token of the answer took. 0: nobody knows how many it has.
	// source: x-sluice-tokens.
	PerToken time.Duration
	Outcome  Outcome
	// Running says that it has not ended, of a first attempt that runs for long. Of how it
	// ends that says nothing: Outcome means nothing. Once it is told when the answer of a live
	// one has begun: Duration is FirstByte. Until then, it is told again and again for how
	// long it has waited by then: Duration is that, and FirstByte is 0.
	Running bool
	// Told says, of one that has ended, that its first byte was told while it ran.
	Told    bool
	Attempt uint32 // 1 for a first attempt; 0 for a request without one

	// ID is the same in every attempt and every copy of a request. Empty: nobody told.
	// source: x-request-id, which the proxy draws.
	ID string
	// Status is the HTTP status of the answer, or its gRPC status, as "200" or "grpc 13".
	// Empty: no answer came.
	Status string
	// Digest is what the server said of its answer, so that it can be compared with
	// another's: a hash, or a label. Empty: nothing. source: the header x-sluice-digest.
	Digest string

	// Unit is whose request it is, where units are sticky: at most LongestUnit bytes of
	// it. Empty: it has none, or is drawn by itself. source: x-sluice-unit.
	Unit string

	// Segment is what the policy tells tenants or languages apart by. Empty is none.
	Segment string

	// Issued says that the attempt had a connection, and so is in the load reports'
	// count of issued requests. UF, UO, UH and NC never had one.
	Issued bool

	// Shadow marks a mirrored copy; nobody waited for its answer.
	Shadow bool

	// Pinned marks a request that a tester sent to a version of their choice; no split
	// drew it. It counts in tallies, as load reports count it, and as no evidence.
	Pinned bool
}

// LongestUnit is how many bytes of a unit's name are told apart.
const LongestUnit = 256

// End is when the last byte of the answer came.
func (r Request) End() time.Time { return r.Start.Add(r.Duration) }

// Waits says that not a byte of its answer has come yet.
func (r Request) Waits() bool { return r.Running && r.FirstByte == 0 }

// Evident says whether the request may enter the evidence of an arm: a live
// first attempt, or a live request that had no attempt at all, that a split drew.
func (r Request) Evident() bool { return !r.Shadow && !r.Pinned && r.Attempt <= 1 }

// of says whether it is of one of the arms.
func (r Request) of(arms Arms) bool {
	return r.Route == arms.Route && (r.Version == arms.Stable || r.Version == arms.Candidate)
}

// Outcome is what became of a request.
type Outcome uint8

// Outcomes. Client errors, shed load and health checks are classed once, the
// same for both arms.
const (
	Succeeded   Outcome = iota
	Failed              // 5xx, a gRPC server error, UO, UH, NC, UF, UC: an error of the arm
	TimedOut            // UT, a reset after headers: an error, and slower than any limit
	ClientFault         // 4xx, a gRPC client error: neither an error nor a latency, compared on its own
	Abandoned           // the client left: no error; it took longer than its Duration, and nobody knows how long
)

// Error says whether the outcome counts against the arm.
func (o Outcome) Error() bool { return o == Failed || o == TimedOut }

// Load is what one proxy counted for one cluster since its last report, from
// plain counters that lose nothing. source: Envoy's LRS.
type Load struct {
	Route      config.Key
	Version    string
	Proxy      string
	At         time.Time     // when the report came
	Interval   time.Duration // that it covers
	Issued     uint64
	Succeeded  uint64
	Errored    uint64
	InProgress uint64 // now, not since
	Dropped    uint64
}

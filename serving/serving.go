// Package serving decides how inference requests share one device: which are
// admitted, which run together, when, and which are refused because they could
// not be answered in time. It also holds the model contract: tensors, the
// signature they are checked against, and how requests are joined into one
// batch and taken apart again. It never reads a clock, runs a model or answers
// anybody: time is an argument, and batches and refusals are returned.
//
// Start reading at Batcher (Admit and Next), then Cost (how long a batch will
// take), then Signature (what a request must look like).
//
// # Why batches are formed so late
//
// A batch that is formed early cannot take in what comes while the device is
// busy. So the next batch is formed only as long before a device is expected to
// be free as preparing it takes; then no device waits for the host either.
//
// # Why no batching delay
//
// A batch forms while the device is busy with the one before, so a free device
// starts at once. Waiting for a fuller batch on a free device bought no
// goodput in any measured case; Config.Delay exists for shared devices.
package serving

import (
	"fmt"
	"time"
)

// Request is what the Batcher knows of one inference request. What it carries
// stays with the caller, under ID.
type Request struct {
	ID    uint64 // the caller's, unique among requests not yet ended
	Items int    // rows of the batch dimension, at least 1
	Bytes int64  // of its inputs
	// Key says what a request can share a batch with: only requests of the same
	// key run together. See Bound.Key.
	Key string
	// Deadline is when the answer stops being useful. Zero: never.
	Deadline time.Time
	Priority Priority
}

// Priority orders requests: each step down counts as a deadline that is later by
// Config.Ageing, so that nobody waits for ever. Zero is Normal.
type Priority int8

// The priorities.
const (
	Urgent  Priority = -1
	Normal  Priority = 0
	Patient Priority = 1
)

// Batch is what runs together.
type Batch struct {
	ID       uint64 // for Done and Failed
	Requests []Request
	Items    int // sum over Requests
	Rows     int // what the device is to run: Items, or the size in Config.Sizes that holds them
}

// Spent is where a batch's time went.
type Spent struct {
	Before time.Duration // on the host, before the device could start
	Device time.Duration
	After  time.Duration // on the host, until the last answer was handed out
}

// Reason is why a request was not run.
type Reason string

// The reasons. Full and Late refuse on arrival; Expired ends a wait.
const (
	Full    Reason = "full"    // as many items or bytes wait as are allowed to
	Late    Reason = "late"    // what is ahead leaves no time before the deadline
	Expired Reason = "expired" // admitted, but the deadline can no longer be met
)

// Refusal is Admit's error: the request was not queued.
type Refusal struct {
	Reason Reason
	// RetryAfter is how long the present queue will take, by the cost model.
	RetryAfter time.Duration
	fact       string
}

func (r *Refusal) Error() string { return r.fact }

func full(waiting, capacity int64, what string, retry time.Duration) *Refusal {
	return &Refusal{
		Reason: Full, RetryAfter: retry,
		fact: fmt.Sprintf("queue is full: %d %s wait, %d may", waiting, what, capacity),
	}
}

func late(needs, has, retry time.Duration) *Refusal {
	return &Refusal{
		Reason: Late, RetryAfter: retry,
		fact: fmt.Sprintf("deadline cannot be met: the answer is %v away, the deadline %v",
			needs.Round(100*time.Microsecond), has.Round(100*time.Microsecond)),
	}
}

// Dropped is a request that was admitted and will not run.
type Dropped struct {
	ID     uint64
	Reason Reason
}

package canary

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Event is something that happened. Its time is the only clock Step knows.
type Event interface {
	// Kind names the event, and its row in the table.
	Kind() Kind
	// When it happened.
	When() time.Time
}

// Kind names an event.
type Kind string

// Kinds of events, in the order of the table's rows.
const (
	KindConfigured   Kind = "Configured"
	KindWithdrawn    Kind = "Withdrawn"
	KindJudged       Kind = "Judged"
	KindConcluded    Kind = "Concluded"
	KindSuspected    Kind = "Suspected"
	KindSettled      Kind = "Settled"
	KindAcked        Kind = "Acked"
	KindNacked       Kind = "Nacked"
	KindObserved     Kind = "Observed"
	KindDisconnected Kind = "Disconnected"
	KindBlinded      Kind = "Blinded"
	KindResized      Kind = "Resized"
	KindApproved     Kind = "Approved"
	KindRejected     Kind = "Rejected"
	KindPromoted     Kind = "Promoted"
	KindHeld         Kind = "Held"
	KindResumed      Kind = "Resumed"
	KindAborted      Kind = "Aborted"
	KindReverted     Kind = "Reverted"
	KindRetried      Kind = "Retried"
	KindSaveFailed   Kind = "SaveFailed"
	KindTick         Kind = "Tick"
)

// Configured says that Route is the configuration in force. It is the Step's
// route argument from this event on. Admit has let it pass.
type Configured struct {
	At     time.Time         `json:"at"`
	Route  config.RouteSpec  `json:"route"`
	Policy config.PolicySpec `json:"policy"` // a rollout that begins now copies it
	// Loaded says that the state came from a store just now: reserved epochs may be
	// in use, no proxy is connected yet, and clocks begin again.
	Loaded bool `json:"loaded,omitempty"`
}

// Withdrawn says that the inference route is no longer configured. The state is kept in
// case it comes back.
type Withdrawn struct {
	At time.Time `json:"at"`
}

// Judged brings a look at the evidence.
type Judged struct {
	At         time.Time           `json:"at"`
	Assessment analysis.Assessment `json:"assessment"`
}

// Suspected says that the trip fired.
type Suspected struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`    // one sentence with numbers
	LogE   float64   `json:"logE"`      // nats
	Needed float64   `json:"logNeeded"` // nats
	N      int64     `json:"n"`         // candidate requests seen
}

// Settled says what mirrored traffic showed of a trip.
type Settled struct {
	At        time.Time `json:"at"`
	Confirmed bool      `json:"confirmed"` // false: cleared
	Reason    string    `json:"reason"`    // one sentence with numbers
}

// Acked says that every connected proxy has acknowledged the split of Epoch, or
// was named as stuck and is no longer waited for.
type Acked struct {
	At      time.Time `json:"at"`
	Epoch   uint64    `json:"epoch"`
	Proxies int       `json:"proxies"`         // that acknowledged; 0 starts no clock
	Stuck   []string  `json:"stuck,omitempty"` // connected, but not waited for
	// Refused says that a proxy still refuses a part of the configuration, and has the
	// split where it serves the inference route meanwhile.
	Refused bool `json:"refused,omitempty"`
}

// Nacked says that a proxy refused what it was sent.
type Nacked struct {
	At    time.Time `json:"at"`
	Proxy string    `json:"proxy"`
	Epoch uint64    `json:"epoch"` // in force when it was sent
	Text  string    `json:"text"`
}

// Observed says that a log entry carried Epoch for the first time.
type Observed struct {
	At    time.Time `json:"at"`
	Epoch uint64    `json:"epoch"`
	Proxy string    `json:"proxy"`
}

// Disconnected says that a proxy left.
type Disconnected struct {
	At        time.Time `json:"at"`
	Proxy     string    `json:"proxy"`
	Remaining int       `json:"remaining"`
}

// Blinded says that signals are missing or disagree. A Judged that is not blind
// ends it.
type Blinded struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Resized says how many endpoints of a version are ready.
type Resized struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Ready   int       `json:"ready"`
	Total   int       `json:"total"`
	Fact    string    `json:"fact,omitempty"` // what the last failing endpoint said
}

// By says who asked for a verb, and why.
type By struct {
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
}

// verb is an event that a person caused.
type verb interface{ by() By }

func (b By) by() By { return b }

// Approved opens the gate whose review has this hash.
type Approved struct {
	At time.Time `json:"at"`
	By
	Hash string `json:"hash"`
}

// Rejected answers a gate with no: the rollout is rolled back.
type Rejected struct {
	At time.Time `json:"at"`
	By
}

// Promoted skips the present wait. Full skips all remaining steps and gates,
// on the evidence for promotion or with OverrideEvidence. Force is needed while
// something freezes growth, it is in doubt, or a trip is not settled.
type Promoted struct {
	At time.Time `json:"at"`
	By
	Full             bool `json:"full,omitempty"`
	OverrideEvidence bool `json:"overrideEvidence,omitempty"`
	Force            bool `json:"force,omitempty"`
	// Evidence is what the last look at it said, whoever asked: a refusal names it.
	Evidence string `json:"evidence,omitempty"`
}

// Held stops growth.
type Held struct {
	At time.Time `json:"at"`
	By
}

// Resumed ends a hold, or sends an unsettled trip back to the first step.
type Resumed struct {
	At time.Time `json:"at"`
	By
}

// Aborted ends the current rollout: the candidate has weight 0 in this step.
type Aborted struct {
	At time.Time `json:"at"`
	By
}

// Reverted leaves the current rollout, or a promoted version for the former
// stable. Force goes back even to a version without a ready endpoint.
type Reverted struct {
	At time.Time `json:"at"`
	By
	Force bool `json:"force,omitempty"`
}

// Retried tries a rejected target again.
type Retried struct {
	At time.Time `json:"at"`
	By
}

// SaveFailed says that the store did not save.
type SaveFailed struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Tick says that time has passed.
type Tick struct {
	At time.Time `json:"at"`
}

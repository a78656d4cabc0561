package canary

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Effect is something for the controller to do, in order. When a Save comes
// first and fails, nothing else is done and the state stays as it was: a share
// would have grown. When it comes later, the state is the new one all the same,
// and saved when the store is back.
type Effect interface{ effect() }

// Save makes the state durable, together with the decisions of this step.
type Save struct{ State State }

// Publish hands the split out. After a Save it grows; before one it shrinks.
type Publish struct{ Split config.Split }

// Record adds a decision to the log.
type Record struct{ Decision Decision }

// Notify tells people of what they may want to act on.
type Notify struct{ Notice Notice }

// Refuse answers a verb with no. The state is as before.
type Refuse struct{ Why string }

func (Save) effect()    {}
func (Publish) effect() {}
func (Record) effect()  {}
func (Notify) effect()  {}
func (Refuse) effect()  {}

// Decision is one entry of the log: what happened, what was decided, on what.
// Replaying the Inputs gives the same decisions byte for byte.
type Decision struct {
	Seq     uint64       `json:"seq"`
	Route   config.Key   `json:"route"`
	Rollout string       `json:"rollout,omitempty"` // id of the one it concerned; empty between rollouts
	Begins  string       `json:"begins,omitempty"`  // id of the rollout that begins with it
	At      time.Time    `json:"at"`
	Event   Kind         `json:"event"`
	Actor   string       `json:"actor"`            // Machine, or who used the verb
	Reason  string       `json:"reason,omitempty"` // the verb's
	Text    string       `json:"text"`             // what was decided and why, one sentence with numbers
	Refused bool         `json:"refused,omitempty"`
	Rule    string       `json:"rule"` // of the table's cell
	Seen    Seen         `json:"seen,omitzero"`
	From    Place        `json:"from"`
	To      Place        `json:"to"`
	Split   config.Split `json:"split"` // in force after it
	Input   Input        `json:"input"`
	// Origin is in the decision that begins a rollout, so that its decisions can be
	// replayed without those before.
	Origin *Origin `json:"origin,omitempty"`
}

// Origin is what a rollout began from.
type Origin struct {
	State State            `json:"state"`
	Route config.RouteSpec `json:"route"`
}

// Seen is what a decision rests on.
type Seen struct {
	Verdict   string  `json:"verdict,omitempty"`
	N         int64   `json:"n"`         // candidate requests
	Value     float64 `json:"value"`     // log e-value, nats
	Threshold float64 `json:"threshold"` // nats
}

// Place is where a rollout stood.
type Place struct {
	Phase  Phase  `json:"phase"`
	Step   int    `json:"step"`
	Weight uint32 `json:"weight"` // of the candidate, basis points
	Stable string `json:"stable"`
}

// Notice is a message to people.
type Notice struct {
	Route   config.Key `json:"route"`
	Rollout string     `json:"rollout,omitempty"`
	At      time.Time  `json:"at"`
	Kind    NoticeKind `json:"kind"`
	Text    string     `json:"text"`
}

// NoticeKind classes notices.
type NoticeKind string

// Notices.
const (
	NoticeBegan    NoticeKind = "began"
	NoticeStepped  NoticeKind = "stepped"
	NoticeGate     NoticeKind = "approvalNeeded"
	NoticeTripped  NoticeKind = "tripped"
	NoticeHeld     NoticeKind = "held"
	NoticePromoted NoticeKind = "promoted"
	NoticeEnded    NoticeKind = "ended" // rolled back, superseded or cancelled
)

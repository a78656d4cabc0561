package canary

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Phase says where a rollout stands. Blind, held and unready are not phases:
// they can be true in any of them.
type Phase string

// Phases. A rollout that ended leaves Idle behind and a Finished in History.
const (
	Idle      Phase = "Idle"      // no rollout; users get stable, or the fixed split
	Waiting   Phase = "Waiting"   // for a ready endpoint of the candidate; weight 0
	Stepping  Phase = "Stepping"  // at a weight step
	Approving Phase = "Approving" // at a gate, at the weight of the step before
	Tripped   Phase = "Tripped"   // strong suspicion; weight 0, reversibly
	Baking    Phase = "Baking"    // promoted; the old stable is kept and the new one watched
)

// State is everything that is known and saved of one inference route. Splits
// are derived from it.
type State struct {
	Route config.Key `json:"route"`

	// Seq numbers decisions, from 1. It is the newest decision's.
	Seq uint64 `json:"seq"`

	// Stable is the version users trust. Empty until the first canary strategy.
	Stable string `json:"stable,omitempty"`

	// Published is the newest split that was handed out, with its epoch.
	Published config.Split `json:"published,omitzero"`

	// Used is the last epoch that was, or may have been, handed out. The next one is
	// above it.
	Used uint64 `json:"used"`

	// Reserved is the last epoch that a saved state allows to be used without
	// another save. A loaded state counts all of them as used.
	Reserved uint64 `json:"reserved"`

	// Acked is the newest epoch that every connected proxy has acknowledged.
	Acked uint64 `json:"acked"`

	// Proxies is the number of connected proxies, as last told.
	Proxies int `json:"proxies"`

	// Nack is the newest refusal of a split or resource by a proxy; nil when it was
	// followed by an acknowledgement of the split in force.
	Nack *Nack `json:"nack,omitempty"`

	// Fault says that the state could not be saved; growing waits until it can.
	Fault *Fault `json:"fault,omitempty"`

	// Ready counts ready endpoints per version. A version that is not in it was not
	// reported yet.
	Ready map[string]int `json:"ready,omitempty"`

	// Facts are what the last failing endpoint of a version said. A version whose
	// endpoints are all ready is not in it.
	Facts map[string]string `json:"facts,omitempty"`

	// Pinned are the versions that are stable or in a rollout, as they were when
	// they became so. They must not change; Admit says so.
	Pinned []config.Version `json:"pinned,omitempty"`

	// Rollouts counts those begun, for their ids.
	Rollouts uint64 `json:"rollouts"`

	// Rollout is nil when none runs.
	Rollout *Rollout `json:"rollout,omitempty"`

	// History holds the last finished rollouts, newest first, at most KeptHistory.
	History []Finished `json:"history,omitempty"`

	// ABTests are the A/B tests with outcomes, newest first, at most KeptHistory. The
	// first may run.
	ABTests []ABTest `json:"abTests,omitempty"`

	// Formers are the versions that were stable before, newest first. Going back to
	// one drops those above it.
	Formers []Former `json:"formers,omitempty"`

	// Rejections are tries of a target that must not begin again.
	Rejections []Try `json:"rejections,omitempty"`

	// Asked is the target and attempt that the configuration named last, and how
	// often people asked for a retry of it.
	Asked Try `json:"asked,omitzero"`

	// Policy is what a rollout that begins now would copy.
	Policy config.PolicySpec `json:"policy,omitzero"`
}

// KeptHistory is how many finished rollouts a state remembers; a store keeps
// the rest as reviews.
const KeptHistory = 5

// Try identifies one try of a target.
type Try struct {
	Target  string `json:"target"`
	Attempt int64  `json:"attempt"` // the configuration's
	Retry   int64  `json:"retry"`   // retry verbs since
}

// Former was stable until Until.
type Former struct {
	Version config.Version `json:"version"`
	Until   time.Time      `json:"until"`
}

// Nack is a proxy's refusal. What it had before stays in force there.
type Nack struct {
	Proxy string    `json:"proxy"`
	Epoch uint64    `json:"epoch"`
	Text  string    `json:"text"` // the proxy's own words
	At    time.Time `json:"at"`
}

// Fault is a store that does not save.
type Fault struct {
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
	Tries int       `json:"tries"`
	Again time.Time `json:"again"` // when it is tried next
}

// Rollout is one try to replace stable by a candidate. Policy, steps and bake are
// copies from when it began and do not change under it. Mirroring is one that only
// ever becomes Forbidden. Stickiness is one, too; Admit refuses an edit of it.
type Rollout struct {
	ID        string `json:"id"` // candidate-n, unique within the route
	Stable    string `json:"stable"`
	Candidate string `json:"candidate"`
	Try       Try    `json:"try"`
	// Direct marks the return of a former stable within the rollback window: no
	// steps, no analysis.
	Direct bool `json:"direct,omitempty"`

	Policy    config.PolicySpec `json:"policy"`
	Steps     []config.Step     `json:"steps"`
	Bake      config.Duration   `json:"bake,omitempty"`
	Mirroring config.Mirroring  `json:"mirroring,omitempty"`
	// Stickiness is how units are told apart while it runs; nil is not at all.
	Stickiness *config.Stickiness `json:"stickiness,omitempty"`
	Offset     uint32             `json:"offset"` // basis points; where the candidate's interval starts

	Phase Phase `json:"phase"`
	Step  int   `json:"step"` // index into Steps

	Began time.Time `json:"began"` // the rollout
	Since time.Time `json:"since"` // in this phase and step
	// Clock is when the step's split was acknowledged by every connected proxy, its
	// clock's start. Zero until then.
	Clock time.Time `json:"clock,omitzero"`
	// Base is the number of candidate requests at the first look after the clock
	// started. Uncounted until then.
	Base int64 `json:"base"`
	// Deadline is when onInconclusive acts. Time spent held or at a gate moves it.
	Deadline time.Time `json:"deadline"`

	// Verdict is the last one that was not blind; Blame is the Assessment's reason
	// when it became so.
	Verdict analysis.Verdict `json:"verdict,omitempty"`
	Blame   string           `json:"blame,omitempty"`
	// Doubt is the Assessment's Hold when it was noted, at Doubted: no growth, nobody blamed. The present one, with
	// its numbers, is the Assessment's.
	Doubt   string    `json:"doubt,omitempty"`
	Doubted time.Time `json:"doubted,omitzero"`

	Blind   *Blind `json:"blind,omitempty"`
	Hold    *Hold  `json:"hold,omitempty"`
	Gate    *Gate  `json:"gate,omitempty"`  // the newest gate reached; open while Approving
	Gates   int    `json:"gates,omitempty"` // reviews frozen so far, for their numbers
	Trips   []Trip `json:"trips,omitempty"` // oldest first; the last is open while Tripped
	Unready *Gone  `json:"unready,omitempty"`

	// Overridden says that a person promoted against or without evidence.
	Overridden bool `json:"overridden,omitempty"`

	// Passages are the splits of this rollout, oldest first.
	Passages []Passage `json:"passages,omitempty"`
}

// Blind says since when signals are missing or disagree.
type Blind struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	// Forced is when a person last went on all the same: the time after which the
	// rollout goes back to its first step counts from there. Zero is never.
	Forced time.Time `json:"forced,omitzero"`
}

// counted is from when blindness counts against the present step.
func (b Blind) counted() time.Time {
	if b.Forced.After(b.Since) {
		return b.Forced
	}
	return b.Since
}

// Hold stops growth until it is resumed. Shrinking goes on.
type Hold struct {
	Since  time.Time `json:"since"`
	Actor  string    `json:"actor"` // Machine when nobody asked for it
	Reason string    `json:"reason"`
}

// Machine is the actor of what no person asked for.
const Machine = "sluice"

// Gate is a frozen, numbered review that waits for approval.
type Gate struct {
	Number int    `json:"number"` // from 1, within the rollout
	Hash   string `json:"hash"`   // 12 hex digits; approval names it
	// Verdict is the last one that was not blind; when it changes, so do Number and
	// Hash.
	Verdict analysis.Verdict `json:"verdict"`
	// At is when this review was frozen; Opened is when the gate was reached.
	At     time.Time `json:"at"`
	Opened time.Time `json:"opened"`
}

// Trip is one strong suspicion and what became of it.
type Trip struct {
	Number  int         `json:"number"` // from 1, within the rollout
	At      time.Time   `json:"at"`
	Reason  string      `json:"reason"`
	Share   uint32      `json:"share"` // basis points the candidate had; no more are mirrored
	Step    int         `json:"step"`  // it was at
	Outcome TripOutcome `json:"outcome"`
	Until   time.Time   `json:"until"` // when onTrip decides, if nothing settled it
	Ended   time.Time   `json:"ended,omitzero"`
	Text    string      `json:"text,omitempty"` // why it ended so
}

// TripOutcome is what became of a trip.
type TripOutcome string

// Trip outcomes.
const (
	TripOpen      TripOutcome = "open"      // mirrored traffic is settling it, or the wait of onTrip: Retry
	TripConfirmed TripOutcome = "confirmed" // rolled back
	TripCleared   TripOutcome = "cleared"   // resumed at the first step
	TripExpired   TripOutcome = "expired"   // nothing settled it in time: onTrip decided
	TripFinal     TripOutcome = "final"     // the policy's limit was reached: rolled back
	TripResumed   TripOutcome = "resumed"   // a person sent it back to the first step
	TripMoot      TripOutcome = "moot"      // the rollout ended for another reason
)

// Gone says since when the candidate's share is withheld for want of a ready
// endpoint.
type Gone struct {
	Since time.Time `json:"since"`
	Fact  string    `json:"fact,omitempty"` // what the last failing endpoint said
}

// Uncounted is the Base of a step whose requests are not counted yet.
const Uncounted = -1

// Passage is one split of a rollout: wanted, acknowledged, seen.
type Passage struct {
	Epoch    uint64       `json:"epoch"`
	Phase    Phase        `json:"phase"`
	Step     int          `json:"step"`
	Weight   uint32       `json:"weight"` // of the candidate, basis points
	Mirror   config.Share `json:"mirror,omitzero"`
	Desired  time.Time    `json:"desired"`
	Acked    time.Time    `json:"acked,omitzero"`    // by every connected proxy
	Observed time.Time    `json:"observed,omitzero"` // first in a log entry
}

// Outcome is how a rollout ended.
type Outcome string

// Outcomes.
const (
	OutcomePromoted   Outcome = "promoted"
	OutcomeRolledBack Outcome = "rolledBack"
	OutcomeSuperseded Outcome = "superseded" // another target or attempt took its place
	OutcomeCancelled  Outcome = "cancelled"  // the target went back to stable, the strategy changed, or the route is gone
)

// Words is the outcome as people say it.
func (o Outcome) Words() string {
	if o == OutcomeRolledBack {
		return "rolled back"
	}
	return string(o)
}

// Cause says in one CamelCase word why a rollout ended; conditions use it as
// their reason.
type Cause string

// Causes.
const (
	CauseEvidence     Cause = "Evidence"            // harmful, or healthy at the last step
	CauseTrip         Cause = "TripConfirmed"       // mirrored traffic confirmed a trip
	CauseTripLimit    Cause = "TripLimit"           // tripped too often
	CauseTripUnsolved Cause = "TripUnsettled"       // onTrip: Rollback
	CauseDeadline     Cause = "ProgressDeadline"    // no ready endpoint for too long
	CauseInconclusive Cause = "Inconclusive"        // onInconclusive acted
	CauseGateTimeout  Cause = "ApprovalTimeout"     // nobody answered
	CauseAborted      Cause = "Aborted"             // a person aborted
	CauseRejected     Cause = "Rejected"            // a person rejected
	CauseReverted     Cause = "RolledBackByRequest" // a person rolled a promoted version back
	CauseOverride     Cause = "Overridden"          // a person promoted without the evidence
	CauseDirect       Cause = "RollbackWindow"      // a former stable came back at once
	CauseTarget       Cause = "TargetChanged"       // the configuration asked for something else
	CauseWithdrawn    Cause = "Withdrawn"           // the inference route is no longer configured
)

// Finished is a rollout that ended, as it was then.
type Finished struct {
	Rollout
	Outcome Outcome   `json:"outcome"`
	Cause   Cause     `json:"cause"`
	Reason  string    `json:"reason"` // one sentence with numbers
	Ended   time.Time `json:"ended"`
	Epoch   uint64    `json:"epoch"` // of the split that ended it
	// Confirmed is when every connected proxy had acknowledged that split, but for those
	// of Unconfirmed. Zero until then: "rolled back" means that every proxy said so.
	Confirmed time.Time `json:"confirmed,omitzero"`
	// Unconfirmed are connected and no longer waited for: they serve what they had.
	Unconfirmed []string `json:"unconfirmed,omitempty"`
}

// ConfirmedText says whether every connected proxy confirmed the end, after how long,
// and which did not.
func (f Finished) ConfirmedText() string {
	if f.Confirmed.IsZero() {
		return "not yet confirmed by every connected proxy"
	}
	text := fmt.Sprintf("confirmed by every connected proxy after %s", max(0, f.Confirmed.Sub(f.Ended)).Round(time.Millisecond))
	if len(f.Unconfirmed) > 0 {
		text += fmt.Sprintf(", but for %s: no longer waited for, and serving what they had", strings.Join(f.Unconfirmed, ", "))
	}
	return text
}

// Phase is the rollout's, or Idle.
func (s State) Phase() Phase {
	if s.Rollout == nil {
		return Idle
	}
	return s.Rollout.Phase
}

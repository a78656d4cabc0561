// Package review makes the one record that people judge a rollout by: what
// changed, who was exposed, what every test saw, and what was decided when.
// review.json is the truth, with a hash of its own content; the page is only a
// rendering of it. The package decides nothing and reads no clock, file or
// network.
//
// Start reading at Build.
package review

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Schema names the form of Review. It changes when a field changes meaning.
const Schema = "sluice.dev/review/v1alpha1"

// ErrNone is what whoever keeps reviews answers where there is none.
var ErrNone = errors.New("there is no such review")

// Review is everything a person needs to approve or to understand a rollout.
type Review struct {
	Schema string `json:"schema"`
	// Hash is the SHA-256, in hex, of this JSON with an empty hash and no white space
	// between its tokens.
	Hash    string     `json:"hash"`
	Route   config.Key `json:"route"`
	Rollout string     `json:"rollout"` // its id, or that of an A/B test
	At      time.Time  `json:"at"`      // when it was made

	Decision Decision   `json:"decision"`
	Change   Change     `json:"change"`
	Exposure []Exposure `json:"exposure"` // stable, then candidate
	Steps    []Step     `json:"steps"`
	Evidence Evidence   `json:"evidence"`

	Trips       []canary.Trip     `json:"trips"`
	Overrides   []Entry           `json:"overrides"`   // what people did
	NotMeasured []string          `json:"notMeasured"` // data gaps, and tests that never ran
	Log         []Entry           `json:"log"`
	Policy      config.PolicySpec `json:"policy"`
	Commands    []Command         `json:"commands,omitempty"` // what a person can do now

	// ABTest is of an A/B test, whose review has no change, steps, evidence and policy.
	ABTest *ABTest `json:"abTest,omitempty"`
}

// Decision is how the rollout ended, or stands.
type Decision struct {
	Outcome   canary.Outcome   `json:"outcome,omitempty"` // empty while it runs
	Cause     canary.Cause     `json:"cause,omitempty"`
	Phase     canary.Phase     `json:"phase,omitempty"` // while it runs
	Verdict   analysis.Verdict `json:"verdict,omitempty"`
	Sentence  string           `json:"sentence"`
	Began     time.Time        `json:"began"`
	Ended     time.Time        `json:"ended,omitzero"`
	Confirmed time.Time        `json:"confirmed,omitzero"` // by every connected proxy but those of Unconfirmed
	GateHash  string           `json:"gateHash,omitempty"` // what an approval must name
	// Unconfirmed are connected and no longer waited for: they serve what they had.
	Unconfirmed []string `json:"unconfirmed,omitempty"`
}

// Change is what would be, or was, put in place of what.
type Change struct {
	From config.Version `json:"from"`
	To   config.Version `json:"to"`
}

// Exposure is what users felt of a version while the rollout ran.
type Exposure struct {
	Version   string    `json:"version"`
	Role      string    `json:"role"` // stable or candidate
	Requests  int64     `json:"requests"`
	Errors    int64     `json:"errors"`
	Abandoned int64     `json:"abandoned,omitempty"` // of Requests: the user left before the answer
	Mirrored  int64     `json:"mirrored"`            // copies that no user waited for
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
}

// Seconds between the first and the last request.
func (e Exposure) Seconds() float64 { return e.Last.Sub(e.First).Seconds() }

// Step is one split: wanted, acknowledged by every connected proxy, seen in a
// log entry.
type Step struct {
	canary.Passage
	AckDelay     float64 `json:"ackDelayMs"`     // desired to acked; 0 when never acked
	ObserveDelay float64 `json:"observeDelayMs"` // desired to observed; 0 when never observed
}

// Evidence is the last assessment.
type Evidence struct {
	At        time.Time       `json:"at,omitzero"`
	LogE      float64         `json:"logE"`      // of all rollback tests together, nats
	LogNeeded float64         `json:"logNeeded"` // nats
	Tests     []analysis.Test `json:"tests"`
	// Answers are a shadow's beside stable's, with examples of those that differ.
	Answers *analysis.Answers `json:"answers,omitempty"`
}

// Entry is one line of the log.
type Entry struct {
	Seq     uint64       `json:"seq"`
	At      time.Time    `json:"at"`
	Event   canary.Kind  `json:"event"`
	Actor   string       `json:"actor"`
	Reason  string       `json:"reason,omitempty"`
	Text    string       `json:"text"`
	Refused bool         `json:"refused,omitempty"`
	Seen    canary.Seen  `json:"seen,omitzero"`
	From    canary.Place `json:"from"`
	To      canary.Place `json:"to"`
	Epoch   uint64       `json:"epoch"`
}

// Command is a shell line with what it does.
type Command struct {
	Does string `json:"does"`
	Line string `json:"line"`
}

// Facts are what a review is made of.
type Facts struct {
	Route     config.Key
	Rollout   canary.Rollout
	Finished  *canary.Finished // nil while it runs
	Versions  []config.Version // as they were when the rollout began
	Exposure  []Exposure
	Last      analysis.Assessment
	Decisions []canary.Decision
	Gaps      []string
}

// Build makes the review of one rollout as it is at now. Equal facts give equal
// bytes and an equal hash.
func Build(f Facts, now time.Time) (Review, error) {
	r := Review{
		Schema:      Schema,
		Route:       f.Route,
		Rollout:     f.Rollout.ID,
		At:          now.UTC(),
		Decision:    decisionOf(f),
		Change:      Change{From: find(f.Versions, f.Rollout.Stable), To: find(f.Versions, f.Rollout.Candidate)},
		Exposure:    f.Exposure,
		Steps:       stepsOf(f.Rollout.Passages),
		Evidence:    Evidence{At: f.Last.At, LogE: f.Last.LogE, LogNeeded: f.Last.LogNeeded, Tests: f.Last.Tests, Answers: f.Last.Answers},
		Trips:       f.Rollout.Trips,
		NotMeasured: notMeasured(f),
		Policy:      f.Rollout.Policy,
	}
	for _, d := range f.Decisions {
		r.add(entryOf(d))
	}
	if f.Finished == nil {
		r.Commands = commands(f)
	}
	hash, err := r.ContentHash()
	r.Hash = hash
	return r, err
}

// ContentHash is the hash that r's content has, whatever its Hash says.
func (r Review) ContentHash() (string, error) {
	r.Hash = ""
	data, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("review %s %s: %w", r.Route, r.Rollout, err)
	}
	return hashOf(data), nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Same says whether r says what another review says, whenever the two were made.
func (r Review) Same(other Review) bool {
	r.At = other.At
	hash, err := r.ContentHash()
	return err == nil && hash == other.Hash
}

// JSON writes the review with its hash inside.
func (r Review) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("review %s %s: %w", r.Route, r.Rollout, err)
	}
	return append(data, '\n'), nil
}

// Parse reads review.json and refuses one whose text is not what its hash says, a field
// that is not known here included.
func Parse(data []byte) (Review, error) {
	var r Review
	if err := json.Unmarshal(data, &r); err != nil {
		return Review{}, fmt.Errorf("review: %w", err)
	}
	if r.Schema != Schema {
		return Review{}, fmt.Errorf("review: schema is not %q, found %q", Schema, r.Schema)
	}
	var text bytes.Buffer
	if err := json.Compact(&text, data); err != nil {
		return Review{}, fmt.Errorf("review: %w", err)
	}
	hash := hashOf(bytes.Replace(text.Bytes(), []byte(`"hash":"`+r.Hash+`"`), []byte(`"hash":""`), 1))
	if hash != r.Hash {
		return Review{}, fmt.Errorf("review %s %s: hash is %s, but the content has %s", r.Route, r.Rollout, r.Hash, hash)
	}
	return r, nil
}

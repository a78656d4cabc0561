package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/canary"
)

// Verb is what a person asks for: the body of a POST.
type Verb struct {
	Actor  string `json:"actor"`  // who asks
	Reason string `json:"reason"` // why; required

	Hash             string `json:"hash,omitempty"`             // approve: of the review
	Full             bool   `json:"full,omitempty"`             // promote: all that is left
	OverrideEvidence bool   `json:"overrideEvidence,omitempty"` // promote with full: without the evidence
	Force            bool   `json:"force,omitempty"`            // promote, rollback: even so
}

// Answer is the reply to a verb.
type Answer struct {
	Text     string          `json:"text"` // what was decided, one sentence
	Decision canary.Decision `json:"decision"`
}

// Verbs are the names a person may use, in the order of help texts.
func Verbs() []string {
	return []string{"approve", "reject", "promote", "hold", "resume", "abort", "rollback", "retry"}
}

// Event makes the machine's event of a verb. It refuses an unknown name, a
// missing actor or reason, and flags that the verb does not have.
func (v Verb) Event(name string, at time.Time) (canary.Event, error) {
	if err := v.check(name); err != nil {
		return nil, err
	}
	by := canary.By{Actor: strings.TrimSpace(v.Actor), Reason: strings.TrimSpace(v.Reason)}
	switch kindOf(name) {
	case canary.KindApproved:
		return canary.Approved{At: at, By: by, Hash: v.Hash}, nil
	case canary.KindRejected:
		return canary.Rejected{At: at, By: by}, nil
	case canary.KindPromoted:
		return canary.Promoted{At: at, By: by, Full: v.Full, OverrideEvidence: v.OverrideEvidence, Force: v.Force}, nil
	case canary.KindHeld:
		return canary.Held{At: at, By: by}, nil
	case canary.KindResumed:
		return canary.Resumed{At: at, By: by}, nil
	case canary.KindAborted:
		return canary.Aborted{At: at, By: by}, nil
	case canary.KindReverted:
		return canary.Reverted{At: at, By: by, Force: v.Force}, nil
	default:
		return canary.Retried{At: at, By: by}, nil
	}
}

// kindOf a verb's event.
func kindOf(name string) canary.Kind {
	kinds := []canary.Kind{
		canary.KindApproved, canary.KindRejected, canary.KindPromoted, canary.KindHeld,
		canary.KindResumed, canary.KindAborted, canary.KindReverted, canary.KindRetried,
	}
	return kinds[slices.Index(Verbs(), name)]
}

func (v Verb) check(name string) error {
	switch {
	case !slices.Contains(Verbs(), name):
		return fmt.Errorf("verb: is not one of %s, found %q", strings.Join(Verbs(), ", "), name)
	case strings.TrimSpace(v.Actor) == "":
		return errors.New("actor: is missing")
	case strings.TrimSpace(v.Reason) == "":
		return errors.New("reason: is missing; it goes into the review")
	case name == "approve" && v.Hash == "":
		return errors.New("hash: is missing; an approval names the review it is bound to")
	case name != "approve" && v.Hash != "":
		return fmt.Errorf("hash: belongs to approve, not to %s", name)
	case name != "promote" && v.Full:
		return fmt.Errorf("full: belongs to promote, not to %s", name)
	case name != "promote" && v.OverrideEvidence:
		return fmt.Errorf("overrideEvidence: belongs to promote, not to %s", name)
	case v.OverrideEvidence && !v.Full:
		return errors.New("overrideEvidence: needs full")
	case v.Force && name != "promote" && name != "rollback":
		return fmt.Errorf("force: belongs to promote and rollback, not to %s", name)
	}
	return nil
}

// verb performs one. 409 is a refusal by the machine, with its reason.
func (s *Server) verb(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.Controller.Snapshot(keyOf(r)); !ok {
		s.unknown(w, keyOf(r))
		return
	}
	v, err := readVerb(http.MaxBytesReader(w, r.Body, 1<<16))
	if err != nil {
		refuse(w, http.StatusBadRequest, problem{Error: err.Error()})
		return
	}
	event, err := v.Event(r.PathValue("verb"), s.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, problem{Error: err.Error()})
		return
	}
	decision, err := s.Controller.Do(r.Context(), keyOf(r), event)
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, problem{Error: err.Error()})
	case decision.Refused:
		refuse(w, http.StatusConflict, problem{Error: decision.Text, Kind: kindRefused})
	default:
		s.answer(w, Answer{decision.Text, decision})
	}
}

// readVerb takes one JSON object of known fields and nothing after it.
func readVerb(body io.Reader) (v Verb, err error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		return v, fmt.Errorf("body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return v, errors.New("body: goes on after the verb")
	}
	return v, nil
}

package canary

import (
	"encoding/json"
	"fmt"
	"time"
)

// Input is an Event that survives JSON: {"kind": …, "event": {…}}.
type Input struct{ Event }

type inputJSON struct {
	Kind  Kind            `json:"kind"`
	Event json.RawMessage `json:"event"`
}

// MarshalJSON writes the kind beside the event.
func (i Input) MarshalJSON() ([]byte, error) {
	if i.Event == nil {
		return []byte("null"), nil
	}
	body, err := json.Marshal(i.Event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(inputJSON{i.Kind(), body})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (i *Input) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		i.Event = nil
		return nil
	}
	var in inputJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	event, err := decode(in.Kind, in.Event)
	i.Event = event
	return err
}

// decode reads the event of one kind.
func decode(k Kind, data []byte) (Event, error) {
	switch k {
	case KindConfigured:
		return read[Configured](data)
	case KindWithdrawn:
		return read[Withdrawn](data)
	case KindJudged:
		return read[Judged](data)
	case KindConcluded:
		return read[Concluded](data)
	case KindSuspected:
		return read[Suspected](data)
	case KindSettled:
		return read[Settled](data)
	case KindAcked:
		return read[Acked](data)
	case KindNacked:
		return read[Nacked](data)
	case KindObserved:
		return read[Observed](data)
	case KindDisconnected:
		return read[Disconnected](data)
	case KindBlinded:
		return read[Blinded](data)
	case KindResized:
		return read[Resized](data)
	case KindSaveFailed:
		return read[SaveFailed](data)
	case KindTick:
		return read[Tick](data)
	default:
		return decodeVerb(k, data)
	}
}

func decodeVerb(k Kind, data []byte) (Event, error) {
	switch k {
	case KindApproved:
		return read[Approved](data)
	case KindRejected:
		return read[Rejected](data)
	case KindPromoted:
		return read[Promoted](data)
	case KindHeld:
		return read[Held](data)
	case KindResumed:
		return read[Resumed](data)
	case KindAborted:
		return read[Aborted](data)
	case KindReverted:
		return read[Reverted](data)
	case KindRetried:
		return read[Retried](data)
	default:
		return nil, fmt.Errorf("event: kind %q is not known", k)
	}
}

func read[E Event](data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Kind(), err)
	}
	return e, nil
}

// Kind names the event.
func (Configured) Kind() Kind   { return KindConfigured }
func (Withdrawn) Kind() Kind    { return KindWithdrawn }
func (Judged) Kind() Kind       { return KindJudged }
func (Concluded) Kind() Kind    { return KindConcluded }
func (Suspected) Kind() Kind    { return KindSuspected }
func (Settled) Kind() Kind      { return KindSettled }
func (Acked) Kind() Kind        { return KindAcked }
func (Nacked) Kind() Kind       { return KindNacked }
func (Observed) Kind() Kind     { return KindObserved }
func (Disconnected) Kind() Kind { return KindDisconnected }
func (Blinded) Kind() Kind      { return KindBlinded }
func (Resized) Kind() Kind      { return KindResized }
func (Approved) Kind() Kind     { return KindApproved }
func (Rejected) Kind() Kind     { return KindRejected }
func (Promoted) Kind() Kind     { return KindPromoted }
func (Held) Kind() Kind         { return KindHeld }
func (Resumed) Kind() Kind      { return KindResumed }
func (Aborted) Kind() Kind      { return KindAborted }
func (Reverted) Kind() Kind     { return KindReverted }
func (Retried) Kind() Kind      { return KindRetried }
func (SaveFailed) Kind() Kind   { return KindSaveFailed }
func (Tick) Kind() Kind         { return KindTick }

// When says when it happened.
func (e Configured) When() time.Time   { return e.At }
func (e Withdrawn) When() time.Time    { return e.At }
func (e Judged) When() time.Time       { return e.At }
func (e Concluded) When() time.Time    { return e.At }
func (e Suspected) When() time.Time    { return e.At }
func (e Settled) When() time.Time      { return e.At }
func (e Acked) When() time.Time        { return e.At }
func (e Nacked) When() time.Time       { return e.At }
func (e Observed) When() time.Time     { return e.At }
func (e Disconnected) When() time.Time { return e.At }
func (e Blinded) When() time.Time      { return e.At }
func (e Resized) When() time.Time      { return e.At }
func (e Approved) When() time.Time     { return e.At }
func (e Rejected) When() time.Time     { return e.At }
func (e Promoted) When() time.Time     { return e.At }
func (e Held) When() time.Time         { return e.At }
func (e Resumed) When() time.Time      { return e.At }
func (e Aborted) When() time.Time      { return e.At }
func (e Reverted) When() time.Time     { return e.At }
func (e Retried) When() time.Time      { return e.At }
func (e SaveFailed) When() time.Time   { return e.At }
func (e Tick) When() time.Time         { return e.At }

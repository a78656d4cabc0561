package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"unicode"
)

// OutcomeReader reads outcomes: a JSON array of them, or one after the other.
type OutcomeReader struct {
	in      *bufio.Reader
	decoder *json.Decoder
	begun   bool
	array   bool
}

// NewOutcomeReader reads what is in. Fields that are not known are errors.
func NewOutcomeReader(in io.Reader) *OutcomeReader {
	r := &OutcomeReader{in: bufio.NewReader(in)}
	r.decoder = json.NewDecoder(r.in)
	r.decoder.DisallowUnknownFields()
	return r
}

// Next gives the next outcome, whose Value is there. The error is io.EOF after the last,
// or else why what follows is no outcome; it reads no further then.
func (r *OutcomeReader) Next() (Outcome, error) {
	if !r.begun {
		r.begun, r.array = true, isArray(r.in)
		if r.array {
			if _, err := r.decoder.Token(); err != nil {
				return Outcome{}, err
			}
		}
	}
	if r.array && !r.decoder.More() {
		return Outcome{}, r.end()
	}
	var o Outcome
	if err := r.decoder.Decode(&o); err != nil {
		return Outcome{}, err
	}
	if o.Value == nil {
		return Outcome{}, errors.New("value: is missing")
	}
	return o, nil
}

// end is io.EOF where an array ends, and all that there is with it.
func (r *OutcomeReader) end() error {
	switch _, err := r.decoder.Token(); {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("comes after the end of the array")
	}
	r.array = false // what is asked for once more is after the end, too
	return io.EOF
}

// isArray looks at the first sign that is no space.
func isArray(in *bufio.Reader) bool {
	for {
		sign, _, err := in.ReadRune()
		if err != nil {
			return false
		}
		if !unicode.IsSpace(sign) {
			return in.UnreadRune() == nil && sign == '['
		}
	}
}

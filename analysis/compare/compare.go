// Package compare says whether the bodies of two answers to one request agree, by a
// comparator of the policy's choice. It reads JSON, and decides nothing of how many
// answers may differ; nor does it know where bodies come from.
//
// Start reading at Read, then Value.Alike.
package compare

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sluice-dev/sluice/config"
)

// Value is what of a body is compared. It holds no more of the body than that, and what
// people may be shown.
type Value struct {
	print   [sha256.Size]byte // of json, label and topK
	numbers []float64         // of numeric and cosine
	shown   string
}

// Read finds what is compared. Nothing of the body is in the errors, which people are
// shown.
// errors: a body that is no JSON, a field that is not in it, or not what the comparator
// compares.
func Read(c config.Compare, body []byte) (Value, error) {
	whole, err := parse(body)
	if err != nil {
		return Value{}, err
	}
	for _, path := range c.Ignore {
		whole = without(whole, split(path), nil)
	}
	field, ok := find(whole, split(c.Field))
	if !ok {
		return Value{}, fmt.Errorf("body: has no field %s", c.Field)
	}
	v, err := valueOf(c, field)
	if err != nil {
		return Value{}, fmt.Errorf("body: field %q: %w", c.Field, err)
	}
	v.shown = show(c, whole)
	return v, nil
}

func parse(body []byte) (whole any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&whole) != nil {
		return nil, fmt.Errorf("body: is no JSON at byte %d", decoder.InputOffset())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("body: goes on after its JSON at byte %d", decoder.InputOffset())
	}
	return whole, nil
}

func valueOf(c config.Compare, field any) (v Value, err error) {
	switch c.By {
	case config.CompareJSON, config.CompareLabel:
		v.print = sha256.Sum256(written(field))
	case config.CompareTopK:
		v.print, err = topOf(field, c.Top)
	case config.CompareNumeric, config.CompareCosine:
		v.numbers, err = numbers(field, nil)
	case config.CompareStatus, config.CompareDigest:
		err = fmt.Errorf("is not compared by %s", c.By)
	}
	return v, err
}

// Alike says whether another answer agrees with stable's, v.
func (v Value) Alike(c config.Compare, o Value) bool {
	switch c.By {
	case config.CompareNumeric:
		return within(v.numbers, o.numbers, c.Tolerance.Fraction())
	case config.CompareCosine:
		return len(v.numbers) == len(o.numbers) && cosine(v.numbers, o.numbers) >= 1-c.Tolerance.Fraction()
	case config.CompareJSON, config.CompareLabel, config.CompareTopK, config.CompareStatus, config.CompareDigest:
	}
	return v.print == o.print
}

// Size is about how many bytes it holds.
func (v Value) Size() int { return len(v.print) + 8*len(v.numbers) + len(v.shown) }

package config

import (
	"cmp"
	"encoding"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing a user wrote that cannot be.
type Mistake struct {
	Document string `json:"document,omitempty"` // the file's name, or "InferenceRoute ns/name" where there is no file
	Line     int    `json:"line,omitempty"`     // in the file, from 1; 0 where there is no file
	Path     string `json:"path"`               // of the field, as spec.strategy.canary.steps[1].weight; empty for the whole document
	Fact     string `json:"fact"`               // what is wrong, as "is not a duration such as 250ms, 2m or 24h"
	Found    string `json:"found,omitempty"`    // what was written, strings in quotes; empty where the fact says it all
	Why      string `json:"why,omitempty"`      // the reason, or what to write instead; may be empty
}

// Error gives "routes.yaml:12: spec.listener.port: is not from 1 to 65535, found 0".
func (m Mistake) Error() string {
	var b strings.Builder
	b.WriteString(m.Document)
	if m.Line > 0 {
		b.WriteString(":" + strconv.Itoa(m.Line))
	}
	b.WriteString(": ")
	if m.Path != "" {
		b.WriteString(m.Path + ": ")
	}
	b.WriteString(m.Fact)
	if m.Found != "" {
		b.WriteString(", found " + m.Found)
	}
	if m.Why != "" {
		b.WriteString(": " + m.Why)
	}
	return b.String()
}

// Mistakes are all the mistakes of some documents, sorted by document and line.
type Mistakes []Mistake

// Error gives one line for each mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Mistake.
func (m Mistakes) Unwrap() []error {
	errs := make([]error, len(m))
	for i, mistake := range m {
		errs[i] = mistake
	}
	return errs
}

// errorOrNil sorts, drops repetitions, and gives nil where there is no mistake.
func (m Mistakes) errorOrNil() error {
	if len(m) == 0 {
		return nil
	}
	return m.sorted()
}

func (m Mistakes) sorted() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(
			strings.Compare(a.Document, b.Document),
			cmp.Compare(a.Line, b.Line),
		)
	})
	return slices.Compact(m)
}

// newMistake splits "fact: why" at the first colon, so that what was found stands
// beside the fact.
func newMistake(document string, line int, path, fact string, found any) Mistake {
	fact, why, _ := strings.Cut(fact, ": ")
	return Mistake{Document: document, Line: line, Path: path, Fact: fact, Found: quoted(found), Why: why}
}

// quoted writes a found value as a user would recognise it.
func quoted(found any) string {
	switch found := found.(type) {
	case nil:
		return ""
	case raw:
		return shortened(string(found))
	case string:
		return strconv.Quote(shortened(found))
	case encoding.TextMarshaler:
		text, err := found.MarshalText()
		if err != nil {
			return fmt.Sprint(found)
		}
		return strconv.Quote(string(text))
	default:
		return fmt.Sprint(found)
	}
}

// maxFound bounds how much of a found value is repeated, in bytes.
const maxFound = 120

func shortened(text string) string {
	if len(text) <= maxFound {
		return text
	}
	return strings.ToValidUTF8(text[:maxFound], "") + "…"
}

// raw is a found value that is written as it is.
type raw string

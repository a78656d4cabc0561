package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// field is what the tags of a struct's field say: its name in YAML, whether a
// user has to write it, and what it is when they do not.
type field struct {
	index    int
	name     string
	fallback string // the `default` tag
	required bool   // neither a default nor omitempty
}

func fieldsOf(t reflect.Type) []field {
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		fallback, hasDefault := t.Field(i).Tag.Lookup("default")
		fields = append(fields, field{
			index:    i,
			name:     name,
			fallback: fallback,
			required: options == "" && !hasDefault,
		})
	}
	return fields
}

// needed says whether a user must write a value of this type: one that is no
// struct, or a struct in which something must be written.
func needed(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || isText(t) {
		return true
	}
	for _, f := range fieldsOf(t) {
		if f.required && needed(t.Field(f.index).Type) {
			return true
		}
	}
	return false
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// unmarshalText reads a scalar of a type of ours.
func unmarshalText(v reflect.Value, text string) error {
	t, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	if !ok {
		return fmt.Errorf("is not read from text")
	}
	return t.UnmarshalText([]byte(text))
}

// setDefault sets what a `default` tag says. A tag that does not fit its field is
// a broken program.
func setDefault(v reflect.Value, text string) {
	ok := true
	switch {
	case text == "":
	case isText(v.Type()):
		ok = unmarshalText(v, text) == nil
	case v.Kind() == reflect.String:
		v.SetString(text)
	default:
		ok = setNumber(v, text)
	}
	if !ok {
		panic(fmt.Sprintf("config: default %q does not fit a %s", text, v.Type()))
	}
}

// nearest finds the name that was probably meant, or "".
func nearest(written string, names []string) string {
	best, least := "", len(written)/3
	for _, name := range names {
		if strings.EqualFold(name, written) {
			return name
		}
		if d := distance(strings.ToLower(written), strings.ToLower(name)); d <= least && d < len(name) {
			best, least = name, d-1
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap (optimal string
// alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

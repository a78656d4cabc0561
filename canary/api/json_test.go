package api_test

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/review"
)

// What /api/v1 sends is named as JSON names things, and nothing is named by accident of a Go name.
func TestEveryFieldOfTheAPIIsNamedInLowerCamel(t *testing.T) {
	lowerCamel := regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
	for _, answer := range []reflect.Type{
		reflect.TypeFor[api.View](), reflect.TypeFor[api.Answer](), reflect.TypeFor[api.Verb](),
		reflect.TypeFor[canary.Decision](), reflect.TypeFor[review.Review](),
	} {
		t.Run(answer.String(), func(t *testing.T) {
			eachName(answer, map[reflect.Type]bool{}, func(owner reflect.Type, field, name string) {
				require.Regexp(t, lowerCamel, name, "%s.%s", owner, field)
			})
		})
	}
}

// eachName visits the JSON names of a type's fields, and of theirs.
func eachName(typ reflect.Type, seen map[reflect.Type]bool, visit func(owner reflect.Type, field, name string)) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map || typ.Kind() == reflect.Array {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] || writesItself(typ) {
		return
	}
	seen[typ] = true
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case f.Anonymous && name == "":
			eachName(f.Type, seen, visit)
		default:
			visit(typ, f.Name, name)
			eachName(f.Type, seen, visit)
		}
	}
}

func writesItself(typ reflect.Type) bool {
	p := reflect.PointerTo(typ)
	return p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

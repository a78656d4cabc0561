package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder reads YAML nodes into Go values by their json tags, notes where every
// field was written, and goes on after a mistake.
type decoder struct {
	*checker

	offset int // lines of the file before this document
	budget int // nodes it may still read, so that aliases of aliases end
}

// maxNodes of one object, aliases counted as often as they are used.
const maxNodes = 100_000

func (d *decoder) mistake(n *yaml.Node, path, fact string, found any) {
	d.mistakes = append(d.mistakes, newMistake(d.document, n.Line+d.offset, path, fact, found))
}

// value reads a node into v. A null is as if nothing had been written.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value) {
	n = resolve(n)
	if d.budget--; d.budget < 0 {
		if d.budget == -1 {
			d.mistake(n, path, fmt.Sprintf("is more than %d values, aliases counted as often as they are used", maxNodes), nil)
		}
		return
	}
	switch {
	case isNull(n):
		delete(d.lines, path)
	case isText(v.Type()):
		d.text(n, path, v)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, path, v.Elem())
	case v.Kind() == reflect.Struct:
		d.structure(n, path, v)
	case v.Kind() == reflect.Map:
		d.mapping(n, path, v)
	case v.Kind() == reflect.Slice:
		d.list(n, path, v)
	default:
		d.scalar(n, path, v)
	}
}

func (d *decoder) structure(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.mistake(n, path, "is not a mapping", describe(n))
		return
	}
	fields := fieldsOf(v.Type())
	written := map[string]bool{}
	for _, e := range d.entries(n, path) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.key })
		if i < 0 {
			d.unknown(e, path, fields)
			continue
		}
		written[e.key] = !isNull(resolve(e.value))
		d.value(e.value, join(path, e.key), v.Field(fields[i].index))
	}
	for _, f := range fields {
		if !written[f.name] {
			d.absent(n, join(path, f.name), f, v.Field(f.index))
		}
	}
}

// absent gives a field that was not written its default, and its fields theirs.
func (d *decoder) absent(n *yaml.Node, path string, f field, v reflect.Value) {
	if f.required && needed(v.Type()) {
		d.mistake(n, path, "is required", nil)
		return
	}
	setDefault(v, f.fallback)
	if v.Kind() != reflect.Struct || isText(v.Type()) {
		return
	}
	for _, f := range fieldsOf(v.Type()) {
		if field := v.Field(f.index); !f.required || !needed(field.Type()) {
			d.absent(n, join(path, f.name), f, field)
		}
	}
}

func (d *decoder) unknown(e entry, within string, fields []field) {
	path := join(within, e.key)
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	fact := "is not a known field"
	switch near := nearest(e.key, names); {
	case reservedReason(path) != "":
		fact = reservedReason(path)
	case near != "":
		fact += fmt.Sprintf(" (did you mean %q?)", near)
	default:
		fact += ": the known ones are " + strings.Join(names, ", ")
	}
	d.mistake(e.at, path, fact, nil)
}

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.mistake(n, path, "is not a mapping", describe(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(n, path) {
		if isNull(resolve(e.value)) {
			d.mistake(e.value, join(path, e.key), "has no value", nil)
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, join(path, e.key), element)
		v.SetMapIndex(reflect.ValueOf(e.key), element)
	}
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.mistake(n, path, "is not a list", describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		d.lines[at(path, i)] = element.Line + d.offset
		if isNull(resolve(element)) {
			d.mistake(element, at(path, i), "has no value", nil)
			continue
		}
		d.value(element, at(path, i), v.Index(i))
	}
}

func (d *decoder) text(n *yaml.Node, path string, v reflect.Value) {
	// The value of a mapping or a list is empty, which no scalar is.
	if err := unmarshalText(v, n.Value); err != nil {
		d.mistake(n, path, err.Error(), describe(n))
	}
}

func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.String && isString(n):
		v.SetString(n.Value)
	case v.Kind() == reflect.String:
		d.mistake(n, path, "is not a string: put it in quotes if it is to be one", describe(n))
	case !isNumber(n) || !setNumber(v, n.Value):
		d.mistake(n, path, numberFact(v.Kind()), describe(n))
	}
}

func numberFact(k reflect.Kind) string {
	switch k {
	case reflect.Float64:
		return "is not a number"
	case reflect.Uint32:
		return "is not a whole number from 0 up"
	default:
		return "is not a whole number"
	}
}

// setNumber reads a decimal number, or says that it does not fit.
func setNumber(v reflect.Value, text string) bool {
	bits := v.Type().Bits()
	switch {
	case v.CanFloat():
		x, err := strconv.ParseFloat(text, bits)
		v.SetFloat(x)
		return err == nil
	case v.CanUint():
		x, err := strconv.ParseUint(text, 10, bits)
		v.SetUint(x)
		return err == nil
	default:
		x, err := strconv.ParseInt(text, 10, bits)
		v.SetInt(x)
		return err == nil
	}
}

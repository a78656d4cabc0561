package config

import (
	"encoding"
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
	d.mistakes = append(d.mistakes, Mistake{
		Document: d.document, Line: n.Line + d.offset, Path: path, Fact: fact, Found: quoted(found),
	})
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
	for key, value := range d.entries(n, path) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			d.unknown(key, join(path, key.Value), fields)
			continue
		}
		written[key.Value] = !isNull(resolve(value))
		d.value(value, join(path, key.Value), v.Field(fields[i].index))
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
	setText(v, f.fallback)
	if v.Kind() != reflect.Struct || isText(v.Type()) {
		return
	}
	for _, f := range fieldsOf(v.Type()) {
		if !f.required {
			d.absent(n, join(path, f.name), f, v.Field(f.index))
		}
	}
}

func (d *decoder) unknown(key *yaml.Node, path string, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	fact := "is not a known field"
	switch near := nearest(key.Value, names); {
	case reservedReason(path) != "":
		fact = reservedReason(path)
	case near != "":
		fact += fmt.Sprintf("; did you mean %q?", near)
	default:
		fact += "; the known ones are " + strings.Join(names, ", ")
	}
	d.mistake(key, path, fact, nil)
}

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.mistake(n, path, "is not a mapping", describe(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.entries(n, path) {
		element := reflect.New(v.Type().Elem()).Elem()
		if isNull(resolve(value)) {
			d.mistake(value, join(path, key.Value), "has no value", nil)
			continue
		}
		d.value(value, join(path, key.Value), element)
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
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
	err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value))
	if err != nil {
		d.mistake(n, path, err.Error(), describe(n))
	}
}

func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	var err error
	switch {
	case v.Kind() == reflect.String && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
		v.SetString(n.Value)
	case v.Kind() == reflect.String:
		d.mistake(n, path, "is not a string; put it in quotes if it should be one", describe(n))
	case v.CanFloat():
		var x float64
		if x, err = strconv.ParseFloat(n.Value, 64); err != nil || !isNumber(n) {
			d.mistake(n, path, "is not a number", describe(n))
			return
		}
		v.SetFloat(x)
	case v.CanUint():
		var x uint64
		if x, err = strconv.ParseUint(n.Value, 10, v.Type().Bits()); err != nil || !isNumber(n) {
			d.mistake(n, path, "is not a whole number from 0 up", describe(n))
			return
		}
		v.SetUint(x)
	default:
		var x int64
		if x, err = strconv.ParseInt(n.Value, 10, v.Type().Bits()); err != nil || !isNumber(n) {
			d.mistake(n, path, "is not a whole number", describe(n))
			return
		}
		v.SetInt(x)
	}
}

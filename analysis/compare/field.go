package compare

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

func split(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, ".")
}

// find follows a path.
func find(field any, path []string) (any, bool) {
	for _, name := range path {
		switch in := field.(type) {
		case map[string]any:
			one, ok := in[name]
			if !ok {
				return nil, false
			}
			field = one
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			field = in[i]
		default:
			return nil, false
		}
	}
	return field, true
}

// without is a copy with another value at a path: nil leaves it out. A name that meets
// a list is looked for in each of its elements.
func without(field any, path []string, instead any) any {
	if len(path) == 0 {
		return instead
	}
	switch in := field.(type) {
	case map[string]any:
		return withoutName(in, path, instead)
	case []any:
		i, err := strconv.Atoi(path[0])
		list := slices.Clone(in)
		for j := range list {
			switch {
			case err != nil:
				list[j] = without(list[j], path, instead)
			case i == j:
				list[j] = without(list[j], path[1:], instead)
			}
		}
		return list
	}
	return field
}

func withoutName(in map[string]any, path []string, instead any) any {
	one, there := in[path[0]]
	if !there {
		return in
	}
	fields := maps.Clone(in)
	if len(path) == 1 && instead == nil {
		delete(fields, path[0])
		return fields
	}
	fields[path[0]] = without(one, path[1:], instead)
	return fields
}

// written is JSON with its names in order and equal numbers written alike.
func written(field any) []byte {
	text, err := json.Marshal(plain(field))
	if err != nil {
		return []byte(err.Error()) // what was read from JSON can be written as JSON
	}
	return text
}

func plain(field any) any {
	switch field := field.(type) {
	case json.Number:
		if n, err := field.Float64(); err == nil && math.Abs(n) < 1<<53 {
			return n
		}
		return field
	case []any:
		list := make([]any, len(field))
		for i, one := range field {
			list[i] = plain(one)
		}
		return list
	case map[string]any:
		fields := make(map[string]any, len(field))
		for name, one := range field {
			fields[name] = plain(one)
		}
		return fields
	}
	return field
}

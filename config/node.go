package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isString includes <<, which merges only where it is a key.
func isString(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!merge")
}

func isNumber(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float")
}

// describe writes a node as a found value: a string in quotes, another scalar as
// it was written, anything else by its kind.
func describe(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.MappingNode:
		return raw("a mapping")
	case n.Kind == yaml.SequenceNode:
		return raw("a list")
	case isNumber(n), n.ShortTag() == "!!bool", isNull(n):
		return raw(n.Value)
	default:
		return n.Value
	}
}

// join writes the path of a mapping's entry.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "" || strings.ContainsFunc(key, isSpecial):
		return fmt.Sprintf("%s[%s]", path, quoted(key))
	}
	return path + "." + key
}

func isSpecial(r rune) bool {
	return strings.ContainsRune(`.[]":`, r) || r <= ' ' || r == 0x7f || r == utf8.RuneError
}

// entry is one key of a mapping and its value.
type entry struct {
	key   string
	at    *yaml.Node // where the key was written
	value *yaml.Node
}

// maxMerges bounds how deep `<<` may go through other mappings' `<<`.
const maxMerges = 10

// entries lists what a mapping holds in the order written, notes the lines, and
// refuses a key that comes twice. What `<<` merges in comes last and yields to
// what is written.
func (d *decoder) entries(n *yaml.Node, path string) []entry {
	entries := d.merged(n, path, 0)
	for _, e := range entries {
		d.lines[join(path, e.key)] = e.at.Line + d.offset
	}
	return entries
}

func (d *decoder) merged(n *yaml.Node, path string, depth int) []entry {
	if depth > maxMerges {
		d.mistake(n, path, "merges mappings that merge mappings, without end", nil)
		return nil
	}
	own, merges := d.own(n, path)
	seen := map[string]bool{}
	for _, e := range own {
		seen[e.key] = true
	}
	for _, m := range merges {
		for _, e := range d.merged(m, path, depth+1) {
			if !seen[e.key] {
				seen[e.key] = true
				own = append(own, e)
			}
		}
	}
	return own
}

// own lists the keys that stand in a mapping itself, and the mappings it merges.
func (d *decoder) own(n *yaml.Node, path string) (entries []entry, merges []*yaml.Node) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, key, value := n.Content[i], resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.mistake(at, path, "has a key that is not a string", describe(key))
		case key.ShortTag() == "!!merge":
			merges = append(merges, d.mergedMappings(value, path)...)
		case first[key.Value] > 0:
			d.mistake(at, join(path, key.Value), fmt.Sprintf("is written twice, first on line %d", first[key.Value]), nil)
		default:
			first[key.Value] = at.Line + d.offset
			entries = append(entries, entry{key: key.Value, at: at, value: value})
		}
	}
	return entries, merges
}

// mergedMappings gives the mappings that a `<<` names: one, or a list of them.
func (d *decoder) mergedMappings(value *yaml.Node, path string) []*yaml.Node {
	value = resolve(value)
	named := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		named = value.Content
	}
	var mappings []*yaml.Node
	for _, n := range named {
		if n = resolve(n); n.Kind != yaml.MappingNode {
			d.mistake(n, path, "merges something that is not a mapping", describe(n))
			continue
		}
		mappings = append(mappings, n)
	}
	return mappings
}

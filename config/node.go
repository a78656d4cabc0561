package config

import (
	"fmt"
	"iter"

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

func isNumber(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	tag := n.ShortTag()
	return tag == "!!int" || tag == "!!float"
}

// describe writes a node as a found value: a scalar as it was written, anything
// else by its kind.
func describe(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.MappingNode:
		return raw("a mapping")
	case n.Kind == yaml.SequenceNode:
		return raw("a list")
	case n.ShortTag() == "!!str":
		return n.Value
	default:
		return raw(n.Value)
	}
}

// join writes the path of a mapping's entry.
func join(path, key string) string {
	if path == "" {
		return key
	}
	if !isPlain(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return path + "." + key
}

func isPlain(key string) bool {
	for _, r := range key {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return key != ""
}

// entries gives a mapping's keys and values in the order written, notes their
// lines, and refuses a key that comes twice. What is merged in by `<<` comes last
// and yields to what is written.
func (d *decoder) entries(n *yaml.Node, path string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(k, v *yaml.Node) bool) {
		first := map[string]int{}
		var merged []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := resolve(n.Content[i]), n.Content[i+1]
			line := n.Content[i].Line + d.offset
			switch {
			case key.Kind != yaml.ScalarNode:
				d.mistake(n.Content[i], path, "has a key that is not a string", describe(key))
				continue
			case key.ShortTag() == "!!merge":
				merged = append(merged, d.merges(value, path)...)
				continue
			case first[key.Value] > 0:
				d.mistake(n.Content[i], join(path, key.Value), fmt.Sprintf("is written twice, first on line %d", first[key.Value]), nil)
				continue
			}
			first[key.Value] = line
			d.lines[join(path, key.Value)] = line
			if !yield(key, value) {
				return
			}
		}
		for _, m := range merged {
			for i := 0; i+1 < len(m.Content); i += 2 {
				key := resolve(m.Content[i])
				if key.Kind != yaml.ScalarNode || first[key.Value] > 0 {
					continue
				}
				first[key.Value] = m.Content[i].Line + d.offset
				d.lines[join(path, key.Value)] = first[key.Value]
				if !yield(key, m.Content[i+1]) {
					return
				}
			}
		}
	}
}

// merges gives the mappings that a `<<` names: one, or a list of them.
func (d *decoder) merges(value *yaml.Node, path string) []*yaml.Node {
	value = resolve(value)
	candidates := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		candidates = value.Content
	}
	var mappings []*yaml.Node
	for _, c := range candidates {
		if c = resolve(c); c.Kind != yaml.MappingNode {
			d.mistake(c, path, "merges something that is not a mapping", describe(c))
			continue
		}
		mappings = append(mappings, c)
	}
	return mappings
}

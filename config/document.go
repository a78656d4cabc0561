package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is a file or a stream: YAML documents separated by lines of ---, or JSON.
type Document struct {
	Name string // how mistakes name it, as routes.yaml
	Data []byte
}

// Parse reads every document, fills in the defaults and checks the whole.
// Reading is strict: what is not known, written twice or of the wrong type is
// refused. The error is Mistakes, all those of all documents; the config is nil
// then.
func Parse(docs ...Document) (*Config, error) {
	var p parser
	for _, doc := range docs {
		p.document(doc)
	}
	slices.SortStableFunc(p.routes, func(a, b parsed[InferenceRoute]) int { return a.object.Compare(b.object.Key) })
	slices.SortStableFunc(p.policies, func(a, b parsed[AnalysisPolicy]) int { return a.object.Compare(b.object.Key) })

	c := &Config{}
	checks := checks{}
	for _, r := range p.routes {
		c.Routes = append(c.Routes, r.object)
		checks.routes = append(checks.routes, r.checker)
	}
	for _, r := range p.policies {
		c.Policies = append(c.Policies, r.object)
		checks.policies = append(checks.policies, r.checker)
	}
	if err := append(p.mistakes, checks.run(c)...).errorOrNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// parser gathers the objects of all documents, and the mistakes that belong to
// no object.
type parser struct {
	routes   []parsed[InferenceRoute]
	policies []parsed[AnalysisPolicy]
	mistakes Mistakes
}

// parsed is an object and what is known of where it was written.
type parsed[T any] struct {
	object  T
	checker *checker
}

// envelope is what a user writes round a spec.
type envelope[S any] struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       S        `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty" default:"default"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (m metadata) key() Key       { return Key{Namespace: m.Namespace, Name: m.Name} }
func (m metadata) rest() Metadata { return Metadata{Labels: m.Labels, Annotations: m.Annotations} }

// The envelope's words.
const (
	APIVersion = "sluice.dev/v1alpha1"
	KindRoute  = "InferenceRoute"
	KindPolicy = "AnalysisPolicy"
)

func (p *parser) document(doc Document) {
	for _, piece := range split(doc.Data) {
		roots, err := nodesOf(piece.data)
		for _, root := range roots {
			p.object(doc.Name, piece.offset, root)
		}
		if err != nil {
			p.mistakes = append(p.mistakes, syntaxMistake(doc.Name, piece, err))
		}
	}
}

// nodesOf reads YAML or JSON. A null is nothing but comments.
func nodesOf(data []byte) (roots []*yaml.Node, err error) {
	if json.Valid(data) {
		data = asYAML(data)
	}
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var node yaml.Node
		switch err := d.Decode(&node); {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return roots, err
		case !isNull(node.Content[0]):
			roots = append(roots, node.Content[0])
		}
	}
}

// object reads one InferenceRoute or AnalysisPolicy.
func (p *parser) object(document string, offset int, n *yaml.Node) {
	d := &decoder{
		checker: &checker{document: document, lines: map[string]int{"": n.Line + offset}},
		offset:  offset,
		budget:  maxNodes,
	}
	switch kind := d.kind(n); kind {
	case KindRoute:
		var e envelope[RouteSpec]
		d.envelope(n, &e)
		r := InferenceRoute{Key: e.Metadata.key(), Metadata: e.Metadata.rest(), RouteSpec: e.Spec}
		r.RouteSpec = r.RouteSpec.conditionalDefaults(d.written)
		p.routes = append(p.routes, parsed[InferenceRoute]{r, d.checker})
	case KindPolicy:
		var e envelope[PolicySpec]
		d.envelope(n, &e)
		a := AnalysisPolicy{Key: e.Metadata.key(), Metadata: e.Metadata.rest(), PolicySpec: e.Spec}
		a.PolicySpec = a.PolicySpec.conditionalDefaults(d.written)
		p.policies = append(p.policies, parsed[AnalysisPolicy]{a, d.checker})
	default:
		p.mistakes = append(p.mistakes, d.mistakes...)
	}
}

// kind finds what an object is, or notes why it is nothing known.
func (d *decoder) kind(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		d.mistake(n, "", "is not a mapping with apiVersion, kind, metadata and spec", describe(n))
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "kind" {
			continue
		}
		value := resolve(n.Content[i+1])
		kinds := []string{KindRoute, KindPolicy}
		if slices.Contains(kinds, value.Value) {
			return value.Value
		}
		fact := "is not " + strings.Join(kinds, " or ")
		near := nearest(value.Value, kinds)
		if near != "" {
			fact += fmt.Sprintf(" (did you mean %s?)", near)
		}
		d.mistake(n.Content[i], "kind", fact, describe(value))
		return near // so that its other mistakes are named, too
	}
	d.mistake(n, "kind", "is required", nil)
	return ""
}

func (d *decoder) envelope(n *yaml.Node, e any) {
	d.value(n, "", reflect.ValueOf(e).Elem())
	d.decoded = len(d.mistakes)
	version := reflect.ValueOf(e).Elem().FieldByName("APIVersion").String()
	if version != APIVersion {
		d.refuse("apiVersion", "is not "+APIVersion, version)
	}
}

// written says whether a path was written at all.
func (d *decoder) written(path string) bool { return d.lines["spec."+path] > 0 }

// piece is one YAML document of a stream.
type piece struct {
	data   []byte
	offset int // lines before it
}

// split cuts a stream at its document markers, so that a syntax error spoils
// only its own document. Directives and comments before a marker stay with what
// follows it.
func split(data []byte) []piece {
	var pieces []piece
	start, offset, content := 0, 0, false
	for at, line := 0, 0; at < len(data); line++ {
		end := bytes.IndexByte(data[at:], '\n') + 1
		if end == 0 {
			end = len(data) - at
		}
		text := data[at : at+end]
		if isMarker(text) && content {
			pieces = append(pieces, piece{data: data[start:at], offset: offset})
			start, offset, content = at, line, false
		}
		content = content || !isPreamble(text)
		at += end
	}
	return append(pieces, piece{data: data[start:], offset: offset})
}

func isMarker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

func isPreamble(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#' || line[0] == '%'
}

// syntaxMistake reads the line out of what the YAML library says.
func syntaxMistake(document string, p piece, err error) Mistake {
	fact := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(fact, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, fact = n, text
		}
	}
	return newMistake(document, line+p.offset, "", "is not YAML: "+fact+p.hint(line), nil)
}

// hint guesses at what a syntax error on a line of the piece comes from.
func (p piece) hint(line int) string {
	for i, text := range strings.Split(string(p.data), "\n") {
		near := i >= line-2 && i <= line
		if _, ratio, ok := strings.Cut(text, ": >"); near && ok && ratio != "" && isDigits(ratio[:1]) {
			return `; put a ratio in quotes, as ">1.5x"`
		}
	}
	return ""
}

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MarshalJSON writes the inference route as Parse reads it: apiVersion, kind,
// metadata and spec.
func (r InferenceRoute) MarshalJSON() ([]byte, error) {
	return marshal(KindRoute, r.Key, r.Metadata, r.RouteSpec)
}

// UnmarshalJSON reads one inference route as Parse does, defaults filled in, but
// checks nothing beyond its form. The error is Mistakes.
func (r *InferenceRoute) UnmarshalJSON(data []byte) error {
	p := parser{}
	p.document(Document{Name: KindRoute, Data: data})
	if len(p.mistakes) == 0 && len(p.routes) != 1 {
		return errors.New("is not one " + KindRoute)
	}
	for _, route := range p.routes {
		*r = route.object
		p.mistakes = append(p.mistakes, route.checker.mistakes...)
	}
	return p.mistakes.errorOrNil()
}

// MarshalYAML writes the inference route as Parse reads it.
func (r InferenceRoute) MarshalYAML() (any, error) { return yamlOf(r) }

// MarshalJSON writes the policy as Parse reads it: apiVersion, kind, metadata and
// spec.
func (a AnalysisPolicy) MarshalJSON() ([]byte, error) {
	return marshal(KindPolicy, a.Key, a.Metadata, a.PolicySpec)
}

// UnmarshalJSON reads one policy as Parse does, defaults filled in, but checks
// nothing beyond its form. The error is Mistakes.
func (a *AnalysisPolicy) UnmarshalJSON(data []byte) error {
	p := parser{}
	p.document(Document{Name: KindPolicy, Data: data})
	if len(p.mistakes) == 0 && len(p.policies) != 1 {
		return errors.New("is not one " + KindPolicy)
	}
	for _, policy := range p.policies {
		*a = policy.object
		p.mistakes = append(p.mistakes, policy.checker.mistakes...)
	}
	return p.mistakes.errorOrNil()
}

// MarshalYAML writes the policy as Parse reads it.
func (a AnalysisPolicy) MarshalYAML() (any, error) { return yamlOf(a) }

// YAML writes the whole config as documents that Parse reads back to the same.
func (c *Config) YAML() ([]byte, error) {
	var objects []any
	for _, r := range c.Routes {
		objects = append(objects, r)
	}
	for _, p := range c.Policies {
		objects = append(objects, p)
	}
	var b bytes.Buffer
	for i, object := range objects {
		if i > 0 {
			b.WriteString("---\n")
		}
		data, err := yaml.Marshal(object)
		if err != nil {
			return nil, err
		}
		b.Write(data)
	}
	return b.Bytes(), nil
}

func marshal[S any](kind string, k Key, m Metadata, spec S) ([]byte, error) {
	return plainJSON(envelope[S]{
		APIVersion: APIVersion,
		Kind:       kind,
		Metadata:   metadata{Name: k.Name, Namespace: k.Namespace, Labels: m.Labels, Annotations: m.Annotations},
		Spec:       spec,
	})
}

// plainJSON leaves < and > as they are: ratios begin with them.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// yamlOf writes a value's JSON as YAML, fields in the same order, so that the two
// never differ.
func yamlOf(v any) (*yaml.Node, error) {
	data, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(asYAML(data), &n); err != nil {
		return nil, err
	}
	relax(&n)
	return n.Content[0], nil
}

// relax drops JSON's brackets and quotes where YAML can do without. A text of
// several lines keeps its quotes: as a block it might not come back the same.
func relax(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || !strings.ContainsFunc(n.Value, unicode.IsControl) {
		n.Style = 0
	}
	for _, child := range n.Content {
		relax(child)
	}
}

// asYAML makes valid JSON valid YAML, line by line: YAML knows neither
// surrogate pairs nor \/, and reads some characters as line breaks or not at all.
func asYAML(data []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(data); {
		if pair, ok := surrogates(data[i:]); ok {
			out.WriteRune(pair)
			i += len(`\ud83d\ude00`)
			continue
		}
		if data[i] == '\\' {
			out.WriteString(strings.Replace(string(data[i:i+2]), `\/`, `/`, 1))
			i += 2
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if escaped := r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff; escaped {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.Write(data[i : i+size])
		}
		i += size
	}
	return out.Bytes()
}

// surrogates reads two escapes at the start of data that make one character.
func surrogates(data []byte) (rune, bool) {
	high, ok := escape(data)
	if !ok {
		return 0, false
	}
	low, ok := escape(data[len(`\ud83d`):])
	r := utf16.DecodeRune(high, low)
	return r, ok && r != utf8.RuneError
}

// escape reads one escape such as \ud83d.
func escape(data []byte) (rune, bool) {
	if len(data) < len(`\ud83d`) || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	r, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return rune(r), err == nil
}

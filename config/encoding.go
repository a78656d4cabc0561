package config

import (
	"bytes"
	"encoding/json"
	"errors"

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
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	for _, r := range c.Routes {
		if err := e.Encode(r); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Policies {
		if err := e.Encode(p); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), e.Close()
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
	if err := yaml.Unmarshal(data, &n); err != nil {
		return nil, err
	}
	relax(&n)
	return n.Content[0], nil
}

// relax drops JSON's brackets and quotes where YAML can do without.
func relax(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		relax(child)
	}
}

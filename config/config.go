// Package config says what a user can write: inference routes and analysis
// policies, parsed strictly, defaulted, and checked with every mistake named at
// once. It never reads a file, a clock or a network; config/file delivers whole,
// valid configs, and everything downstream trusts what Parse returned.
//
// Start reading at InferenceRoute in route.go, then Parse and Validate.
package config

import "strings"

// Config is one whole, valid set of what users wrote. It is immutable after
// Parse; readers may share it.
type Config struct {
	Routes   []InferenceRoute // sorted by Key
	Policies []AnalysisPolicy // sorted by Key, the built-in `standard` not included
}

// Key identifies an inference route or a policy.
type Key struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String gives "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Compare orders keys by namespace, then name.
func (k Key) Compare(o Key) int {
	if c := strings.Compare(k.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(k.Name, o.Name)
}

// Policy finds the policy that an inference route of a namespace names: the
// built-in one, or one of the namespace.
func (c *Config) Policy(k Key) (PolicySpec, bool) {
	if k.Name == DefaultPolicy {
		return Standard(), true
	}
	for _, p := range c.Policies {
		if p.Key == k {
			return p.PolicySpec, true
		}
	}
	return PolicySpec{}, false
}

// Route finds an inference route by key.
func (c *Config) Route(k Key) (InferenceRoute, bool) {
	for _, r := range c.Routes {
		if r.Key == k {
			return r, true
		}
	}
	return InferenceRoute{}, false
}

// Metadata is what Kubernetes clients write beside a name. Sluice keeps it and
// reads nothing into it.
type Metadata struct {
	Labels      map[string]string
	Annotations map[string]string
}

// Package config says what a user can write: inference routes and analysis
// policies, parsed strictly, defaulted, and checked with every mistake named at
// once. It never reads a file, a clock or a network; config/file delivers whole,
// valid configs, and everything downstream trusts what Parse returned.
//
// Start reading at InferenceRoute in route.go, then Validate.
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

// Route finds an inference route by key.
func (c *Config) Route(k Key) (InferenceRoute, bool) {
	for _, r := range c.Routes {
		if r.Key == k {
			return r, true
		}
	}
	return InferenceRoute{}, false
}

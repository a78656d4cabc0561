package config

import _ "embed" // the reference is written from the types' comments, which a binary does not hold

//go:embed fields.yaml
var fieldsYAML string

// RouteFields is every field of an InferenceRoute, in the form of a manifest, with
// what it means, its unit and its default.
func RouteFields() string { return fieldsYAML }

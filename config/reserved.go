package config

import "strings"

// reservedReason says why a field that a user may well have copied from somewhere
// is refused, or "".
func reservedReason(path string) string {
	if path == "status" {
		return "is written by Sluice, never by a user: leave it out"
	}
	field, ok := strings.CutPrefix(path, "metadata.")
	if !ok {
		return ""
	}
	switch field {
	case "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
		"deletionGracePeriodSeconds", "managedFields", "selfLink", "ownerReferences", "finalizers":
		return "is kept by a Kubernetes API server and means nothing here: leave it out"
	case "generateName":
		return "is not supported: give metadata.name"
	}
	return ""
}

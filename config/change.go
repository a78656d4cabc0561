package config

import (
	"fmt"
	"slices"
	"strings"
)

// ValidateChange refuses an edit of versions that are in use: a version is
// immutable, and so is what users are served by and what is being judged. inUse
// names a route's versions that are stable or in a rollout.
//
// Pods may come and go, but one endpoint of the version stays, and none moves to
// another version. A whole inference route may be removed. The error is Mistakes
// without lines.
func ValidateChange(old, changed *Config, inUse func(Key) []string) error {
	var mistakes Mistakes
	for _, before := range old.Routes {
		after, ok := changed.Route(before.Key)
		if !ok {
			continue
		}
		c := &checker{document: KindRoute + " " + before.Key.String()}
		for _, name := range inUse(before.Key) {
			c.unchanged(name, before.RouteSpec, after.RouteSpec)
		}
		mistakes = append(mistakes, c.mistakes...)
	}
	return mistakes.errorOrNil()
}

const immutable = "a version in use is immutable, so give the new one a name of its own"

// unchanged compares one version before and after an edit.
func (c *checker) unchanged(name string, before, after RouteSpec) {
	was, known := before.Version(name)
	if !known {
		return
	}
	is, ok := after.Version(name)
	if !ok {
		c.refusef("spec.versions", "have lost version %s, which is stable or in a rollout", name)
		return
	}
	i := slices.IndexFunc(after.Versions, func(v Version) bool { return v.Name == name })
	path := at("spec.versions", i)
	c.sameModel(path+".model", was.Model, is.Model)
	stays := slices.ContainsFunc(is.Endpoints, func(e string) bool { return slices.Contains(was.Endpoints, e) })
	if !stays {
		c.refuse(path+".endpoints", fmt.Sprintf("has none of the endpoints that version %s had, %s: %s",
			name, strings.Join(was.Endpoints, ", "), immutable), raw(strings.Join(is.Endpoints, ", ")))
	}
	for j, v := range after.Versions {
		c.notMoved(at("spec.versions", j)+".endpoints", was, v)
	}
}

func (c *checker) sameModel(path string, was, is *Model) {
	var before, after Model
	if was != nil {
		before = *was
	}
	if is != nil {
		after = *is
	}
	compare := func(field, was, is string) {
		if was != is {
			c.refuse(path+"."+field, fmt.Sprintf("is not what it was before the edit: that was %q; %s", was, immutable), is)
		}
	}
	compare("name", before.Name, after.Name)
	compare("version", before.Version, after.Version)
	compare("digest", before.Digest, after.Digest)
}

// notMoved refuses endpoints of a version that another one has now.
func (c *checker) notMoved(path string, was, other Version) {
	if other.Name == was.Name {
		return
	}
	for i, endpoint := range other.Endpoints {
		if slices.Contains(was.Endpoints, endpoint) {
			c.refuse(at(path, i), fmt.Sprintf("belonged to version %s before the edit: %s", was.Name, immutable), endpoint)
		}
	}
}

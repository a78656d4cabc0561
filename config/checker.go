package config

import (
	"fmt"
	"slices"
	"strings"
)

// checker collects the mistakes of one object and knows where its fields were
// written.
type checker struct {
	document string
	lines    map[string]int // path to line; empty where there is no file
	mistakes Mistakes
	decoded  int // the first so many mistakes were found while decoding
}

// refuse notes a mistake; fact may be "fact: why". A field that could not be read, or is part of one, has
// been complained about already and is left alone.
func (c *checker) refuse(path, fact string, found any) {
	if c.readable(path) {
		c.mistakes = append(c.mistakes, newMistake(c.document, c.line(path), path, fact, found))
	}
}

// refusef notes a mistake whose fact says it all.
func (c *checker) refusef(path, format string, args ...any) {
	c.refuse(path, fmt.Sprintf(format, args...), nil)
}

// lacks notes that something is not written in a field, unless a part of the field could not be read: that
// may be what is missed.
func (c *checker) lacks(path, fact string) {
	if sound(c.mistakes[:c.decoded], path) {
		c.refuse(path, fact, nil)
	}
}

// readable says whether a field could be read, whatever is wrong with what it says or with its parts.
func (c *checker) readable(path string) bool {
	return !slices.ContainsFunc(c.mistakes[:c.decoded], func(m Mistake) bool { return within(path, m.Path) })
}

// sound says whether no mistake is known of these fields, so that another field
// may be judged by them.
func (c *checker) sound(paths ...string) bool {
	for _, path := range paths {
		if !sound(c.mistakes, path) {
			return false
		}
	}
	return true
}

func sound(mistakes Mistakes, path string) bool {
	for _, m := range mistakes {
		if within(m.Path, path) || within(path, m.Path) {
			return false
		}
	}
	return true
}

// within says whether path is whole or a part of it.
func within(path, whole string) bool {
	rest, ok := strings.CutPrefix(path, whole)
	return ok && (rest == "" || whole == "" || rest[0] == '.' || rest[0] == '[')
}

// line finds where a path, or the nearest thing that holds it, was written.
func (c *checker) line(path string) int {
	for {
		if line, ok := c.lines[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return c.lines[""]
		}
		path = path[:cut]
	}
}

// at writes the path of a list's element.
func at(path string, index int) string { return fmt.Sprintf("%s[%d]", path, index) }

package config

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxExpression bounds a regular expression's length, as Gateway API does.
const maxExpression = 1024

func (c *checker) matches(s RouteSpec) {
	for i, m := range s.Matches {
		path := at("spec.matches", i)
		c.match(path, m)
		c.grpcMatch(path+".grpc", s, m)
		c.modelMatch(path+".model", s, m.Model)
		for j, earlier := range s.Matches[:i] {
			if normal(earlier) == normal(m) && c.sound(path) {
				c.refusef(path, "says the same as %s", at("spec.matches", j))
				break
			}
		}
	}
}

func (c *checker) match(path string, m Match) {
	if m.Path == nil && len(m.Headers) == 0 && m.Method == "" && m.GRPC == nil && m.Model == "" {
		c.lacks(path, "is empty: give path, headers, method, grpc or model, or leave matches out to match every request")
	}
	if m.Path != nil {
		c.pathMatch(path+".path", *m.Path)
	}
	names := map[string]int{}
	for i, h := range m.Headers {
		path, name := at(path+".headers", i), strings.ToLower(h.Name)
		if first, taken := names[name]; taken {
			c.refuse(path+".name", fmt.Sprintf("is matched twice, first in headers[%d]: only one could count", first), h.Name)
		} else {
			names[name] = i
		}
		c.headerMatch(path, h)
	}
	if m.Method != "" {
		oneOf(c, path+".method", m.Method, "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
	}
}

func (c *checker) pathMatch(path string, m PathMatch) {
	if !oneOf(c, path+".type", m.Type, PathExact, PathPrefix, PathExpression) {
		return
	}
	if m.Type == PathExpression {
		c.expression(path+".value", m.Value)
		return
	}
	if fact := pathFact(m.Value); fact != "" {
		c.refuse(path+".value", fact, m.Value)
	}
}

// pathFact says what is wrong with a plain path, or "". Such paths would never
// match: Envoy merges and resolves their parts before it looks.
func pathFact(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "does not start with /"
	case !isVisible(path):
		return "holds a character that no path has"
	case strings.ContainsAny(path, "?#"):
		return "holds a query or a fragment, which is no part of a path"
	case strings.Contains(path, "//"):
		return "holds //"
	case slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return part == "." || part == ".." }):
		return "holds . or .. as a part"
	case strings.Contains(strings.ToLower(path), "%2f"):
		return "holds an escaped /"
	}
	return ""
}

func (c *checker) headerMatch(path string, m HeaderMatch) {
	switch {
	case !isToken(m.Name):
		c.refuse(path+".name", "is not the name of a header", m.Name)
	case strings.EqualFold(m.Name, "host"):
		c.refuse(path+".name", "is what spec.hostnames matches: write it there", m.Name)
	}
	if !oneOf(c, path+".type", m.Type, HeaderExact, HeaderExpression) {
		return
	}
	switch {
	case m.Type == HeaderExpression:
		c.expression(path+".value", m.Value)
	case m.Value == "":
		c.refusef(path+".value", "is empty: it would match nothing")
	case strings.TrimSpace(m.Value) != m.Value || strings.ContainsFunc(m.Value, isControl):
		c.refuse(path+".value", "holds what no header's value can: a control character, or space at an end", m.Value)
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// expression checks RE2's syntax, which is Go's.
func (c *checker) expression(path, expression string) {
	switch _, err := syntax.Parse(expression, syntax.Perl); {
	case expression == "":
		c.refusef(path, "is empty")
	case len(expression) > maxExpression:
		c.refusef(path, "is longer than %d characters", maxExpression)
	case err != nil:
		c.refuse(path, "is not an RE2 expression: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "), expression)
	}
}

// isToken reads RFC 9110's token, which names headers.
func isToken(name string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(marks, r)
	})
}

// normal writes a match so that equal texts match equal requests.
func normal(m Match) string {
	m = m.ByPath()
	path := PathMatch{Type: PathPrefix, Value: "/"}
	if m.Path != nil {
		path = *m.Path
	}
	if path.Type == PathPrefix && path.Value != "/" {
		path.Value = strings.TrimSuffix(path.Value, "/")
	}
	headers := make([]string, len(m.Headers))
	for i, h := range m.Headers {
		headers[i] = fmt.Sprintf("%q %s %q", strings.ToLower(h.Name), h.Type, h.Value)
	}
	slices.Sort(headers)
	return fmt.Sprintf("%s %s %q %q %s", m.Method, path.Type, path.Value, m.Model, strings.Join(headers, " "))
}

// ties refuses the later, by name, of two inference routes that match the same
// requests and take none before the other in Gateway API's precedence.
func (all checks) ties(routes []InferenceRoute) {
	for i, r := range routes {
		for j, earlier := range routes[:i] {
			host, common := commonHostname(earlier.Hostnames, r.Hostnames)
			if earlier.Key == r.Key || earlier.Listener != r.Listener || !common ||
				!all.sound(i, j, "spec.matches", "spec.hostnames", "spec.listener") {
				continue
			}
			all.tie(i, earlier, r, host)
		}
	}
}

func (all checks) tie(i int, earlier, later InferenceRoute, host string) {
	for k, m := range orEverything(later.Matches) {
		same := slices.ContainsFunc(orEverything(earlier.Matches), func(e Match) bool { return normal(e) == normal(m) })
		if !same {
			continue
		}
		path := "spec.matches"
		if len(later.Matches) > 0 {
			path = at(path, k)
		}
		all.routes[i].refusef(path, "matches the same requests as inference route %s on %s of %s: "+
			"one has to match more closely", earlier.Key, host, later.Listener)
	}
}

func orEverything(matches []Match) []Match {
	if len(matches) == 0 {
		return []Match{{}}
	}
	return matches
}

// commonHostname finds a hostname that both lists name; two empty lists share
// every one.
func commonHostname(a, b []string) (string, bool) {
	if len(a) == 0 && len(b) == 0 {
		return "every hostname", true
	}
	for _, name := range a {
		if slices.Contains(b, name) {
			return name, true
		}
	}
	return "", false
}

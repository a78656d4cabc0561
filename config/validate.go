package config

import (
	"fmt"
	"slices"
	"strings"
)

// Validate checks a config that was built in Go, defaults filled in, by the
// rules that Parse applies. The error is Mistakes without lines.
func Validate(c *Config) error {
	var all checks
	for _, r := range c.Routes {
		all.routes = append(all.routes, &checker{document: KindRoute + " " + r.Key.String()})
	}
	for _, p := range c.Policies {
		all.policies = append(all.policies, &checker{document: KindPolicy + " " + p.Key.String()})
	}
	return all.run(c).errorOrNil()
}

// checks holds one checker for each object of a config, in the config's order.
type checks struct {
	routes   []*checker
	policies []*checker
}

// run applies every rule and gives all mistakes, those of decoding too.
func (all checks) run(c *Config) Mistakes {
	var mistakes Mistakes
	for i, r := range c.Routes {
		all.routes[i].key(r.Key)
		all.routes[i].route(r.RouteSpec)
		all.policyExists(c, i)
	}
	for i, p := range c.Policies {
		all.policies[i].key(p.Key)
		all.policies[i].policyName(p.Name)
		all.policies[i].policy(p.PolicySpec)
	}
	unique(all.routes, KindRoute, func(i int) Key { return c.Routes[i].Key })
	unique(all.policies, KindPolicy, func(i int) Key { return c.Policies[i].Key })
	all.listeners(c.Routes)
	all.ties(c.Routes)
	for _, c := range slices.Concat(all.routes, all.policies) {
		mistakes = append(mistakes, c.mistakes...)
	}
	return mistakes
}

// unique refuses an object whose key another one before it has.
func unique(checkers []*checker, kind string, key func(i int) Key) {
	first := map[Key]*checker{}
	for i, c := range checkers {
		earlier, taken := first[key(i)]
		if !taken {
			first[key(i)] = c
			continue
		}
		where := earlier.document
		if line := earlier.line("metadata.name"); line > 0 {
			where = fmt.Sprintf("%s:%d", where, line)
		}
		c.refuse("metadata.name", fmt.Sprintf("names a second %s: the first is at %s", kind, where), key(i).String())
	}
}

func (c *checker) key(k Key) {
	c.label("metadata.name", k.Name)
	c.label("metadata.namespace", k.Namespace)
}

const labelFact = "is not a DNS label: 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"

func (c *checker) label(path, name string) {
	if !isLabel(name) {
		c.refuse(path, labelFact, name)
	}
}

// isLabel reads RFC 1123's label, as Kubernetes names objects.
func isLabel(name string) bool {
	if len(name) == 0 || len(name) > 63 || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// oneOf refuses a word that is none of some words.
func oneOf[T ~string](c *checker, path string, word T, words ...T) bool {
	if slices.Contains(words, word) {
		return true
	}
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	fact := "is not one of " + strings.Join(names, ", ")
	if near := nearest(string(word), names); near != "" {
		fact += fmt.Sprintf(" (did you mean %s?)", near)
	}
	c.refuse(path, fact, string(word))
	return false
}

// positive refuses a duration that is not above zero.
func (c *checker) positive(path string, d Duration) {
	if d <= 0 {
		c.refuse(path, "is not above 0s", d)
	}
}

// notNegative refuses a duration below zero, which only Go code can make.
func (c *checker) notNegative(path string, d Duration) {
	if d < 0 {
		c.refuse(path, "is below 0s", d)
	}
}

// atLeast refuses a number below a least one.
func (c *checker) atLeast(path string, number, least int64) {
	if number < least {
		c.refuse(path, fmt.Sprintf("is below %d", least), number)
	}
}

package arch

import (
	"fmt"
	"regexp"
	"slices"
)

// topLevel is what the module's root may hold; dot folders and what git ignores
// do not count.
func topLevel() []string {
	return []string{"cmd", "xds", "canary", "analysis", "serving", "config", "deploy", "e2e"}
}

func checkTopLevel(h *house) []Violation {
	var vs []Violation
	for _, folder := range h.folders {
		if !slices.Contains(topLevel(), folder) {
			vs = append(vs, Violation{
				File: folder, Fact: fmt.Sprintf("is none of %v", topLevel()),
				Reason: "the top level is the map that everyone remembers; a new thing belongs in one of its rooms",
			})
		}
	}
	return vs
}

// checkReadme wants every package named in the README's architecture section,
// once there is one.
func checkReadme(h *house) []Violation {
	// From its heading to the next of the same level.
	section := regexp.MustCompile(`(?ms)^## [^\n]*Architecture.*?(^## |\z)`).FindString(h.readme)
	if section == "" {
		return nil
	}
	var vs []Violation
	for _, p := range h.packages {
		named := regexp.MustCompile(`(^|[^\w/])` + regexp.QuoteMeta(p.path) + `($|[^\w/]|/[^\w])`)
		if !named.MatchString(section) {
			vs = append(vs, Violation{
				File: p.path, Fact: "is not in the README's architecture section",
				Reason: "a code map that lacks rooms is not read twice",
			})
		}
	}
	return vs
}

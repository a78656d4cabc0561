// Package arch holds the house rules that a reader could otherwise only be told:
// who may import whom, what a deciding package never does, where a package says
// what it is for. Check reads source text, it never compiles or runs it, and each
// rule carries the reason that a broken build prints.
//
// Start reading at allowed in imports.go; testdata has one planted violation per
// story, with the message it earns.
package arch

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
)

// Violation is one place that breaks a rule.
type Violation struct {
	File   string // slash-separated, below the module's root; a folder has no line
	Line   int    // zero if the whole file or folder is meant
	Fact   string // what was found there
	Rule   string // the rule's name
	Reason string // why the rule exists
}

// String is "file:line: fact (rule: reason)".
func (v Violation) String() string {
	at := v.File
	if v.Line > 0 {
		at = fmt.Sprintf("%s:%d", v.File, v.Line)
	}
	return fmt.Sprintf("%s: %s (%s: %s)", at, v.Fact, v.Rule, v.Reason)
}

// rules maps each rule's name to its check.
func rules() map[string]func(*house) []Violation {
	return map[string]func(*house) []Violation{
		"top level":       checkTopLevel,
		"product imports": checkProductImports,
		"library imports": checkLibraryImports,
		"envoy's names":   checkAliases,
		"pure imports":    checkPureImports,
		"pure code":       checkPureCode,
		"package comment": checkPackageComment,
		"waiting tests":   checkWaiting,
		"readme's map":    checkReadme,
	}
}

// Check reads the module whose root is tree and returns every violation, in
// order of file and line.
func Check(tree fs.FS) ([]Violation, error) {
	h, err := read(tree)
	if err != nil {
		return nil, err
	}
	var all []Violation
	for name, check := range rules() {
		for _, v := range check(h) {
			v.Rule = name
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Fact, b.Fact))
	})
	return all, nil
}

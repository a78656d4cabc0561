package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const whyComment = "a newcomer opens the file that has the folder's name and reads what the package is for"

func checkPackageComment(h *house) []Violation {
	var vs []Violation
	for _, p := range h.packages {
		home := p.home()
		var found bool
		for _, f := range p.files {
			switch {
			case f.syntax.Doc == nil:
			case f.path == home:
				found = true
			default:
				vs = append(vs, Violation{
					File: f.path, Line: h.line(f.syntax.Doc), Reason: whyComment,
					Fact: fmt.Sprintf("has a package comment, which belongs in %s alone", path.Base(home)),
				})
			}
		}
		if !found {
			vs = append(vs, Violation{File: home, Fact: "has no package comment", Reason: whyComment})
		}
	}
	return vs
}

// home is the file that carries the package's comment: the one named after the
// package, main.go for a command, and a test file where there are only tests.
func (p pkg) home() string {
	name := strings.TrimSuffix(p.files[0].syntax.Name.Name, "_test")
	suffix := "_test.go"
	if slices.ContainsFunc(p.files, func(f file) bool { return !f.test }) {
		suffix = ".go"
	}
	return path.Join(p.path, name+suffix)
}

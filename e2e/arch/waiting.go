package arch

import (
	"go/ast"
	"slices"
)

// checkWaiting lets a test sleep only where time is virtual.
func checkWaiting(h *house) []Violation {
	var vs []Violation
	for _, p := range h.packages {
		for _, f := range p.files {
			if f.test && !h.importsSynctest(f) {
				vs = append(vs, h.sleeps(f)...)
			}
		}
	}
	return vs
}

func (h *house) importsSynctest(f file) bool {
	return slices.ContainsFunc(h.imports, func(im importSpec) bool {
		return im.file == f.path && im.path == "testing/synctest"
	})
}

func (h *house) sleeps(f file) []Violation {
	var vs []Violation
	names := h.localNames(f)
	for n := range ast.Preorder(f.syntax) {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Sleep" {
			continue
		}
		if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] == "time" {
			vs = append(vs, Violation{
				File: f.path, Line: h.line(n), Fact: "has time.Sleep under a real clock",
				Reason: "a sleep is too short on a busy machine and too long on every other; wait for the event, or use testing/synctest",
			})
		}
	}
	return vs
}

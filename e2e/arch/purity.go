package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
)

// pure lists the packages that decide: equal inputs give equal outputs, so that
// a rollout can be tested in microseconds, simulated and replayed.
func pure() []string {
	return []string{
		"config",
		"analysis", "analysis/compare",
		"canary", "canary/review", "canary/world",
		"xds", "xds/name",
		"serving", "serving/element", "serving/magika", "serving/sketch",
	}
}

// banned says why a pure package does without a standard package, and those below it.
func banned() map[string]string {
	const io = "I/O lives one folder deeper"
	return map[string]string{
		"context":     "pure code neither blocks nor is cancelled; put it one folder deeper",
		"crypto/rand": "chance is a seed that the caller gives, or no run can be repeated",
		"io/ioutil":   io,
		"log":         "logs belong to the shell that acts; return what happened",
		"net":         io,
		"os":          io,
		"sync":        "one goroutine owns each mutable thing, and it lives one folder deeper",
		"syscall":     io,
	}
}

// harmless are packages below a banned one that only read and write values.
func harmless() []string { return []string{"net/netip", "net/url"} }

func checkPureImports(h *house) []Violation {
	var vs []Violation
	for _, im := range h.imports {
		if im.test || !slices.Contains(pure(), im.from) || slices.Contains(harmless(), im.path) {
			continue
		}
		for ban, why := range banned() {
			if under(im.path, ban) {
				vs = append(vs, im.violation(fmt.Sprintf("%s is pure and imports %s", im.from, im.path), why))
			}
		}
	}
	return vs
}

func checkPureCode(h *house) []Violation {
	var vs []Violation
	for _, f := range h.pureFiles() {
		names := h.localNames(f)
		for n := range ast.Preorder(f.syntax) {
			if what, why := impurity(n, names); what != "" {
				fact := fmt.Sprintf("%s is pure and has %s", path.Dir(f.path), what)
				vs = append(vs, Violation{File: f.path, Line: h.line(n), Fact: fact, Reason: why})
			}
		}
	}
	return vs
}

// pureFiles lists the pure packages' files. Their tests may do as they like.
func (h *house) pureFiles() []file {
	var fs []file
	for _, p := range h.packages {
		for _, f := range p.files {
			if slices.Contains(pure(), p.path) && !f.test {
				fs = append(fs, f)
			}
		}
	}
	return fs
}

// impurity names what makes n impure, and why that is; both are empty if nothing does.
func impurity(n ast.Node, names map[string]string) (what, why string) {
	const goroutines = "goroutines live one folder deeper; whoever starts one waits for it"
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a go statement", goroutines
	case *ast.SelectStmt:
		return "a select statement", goroutines
	case *ast.ChanType:
		return "a channel", goroutines
	case *ast.SendStmt:
		return "a channel send", goroutines
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a channel receive", goroutines
		}
	case *ast.SelectorExpr:
		return impureCall(n, names)
	}
	return "", ""
}

// impureCall looks for functions that read the clock or the process's own chance.
func impureCall(n *ast.SelectorExpr, names map[string]string) (what, why string) {
	x, ok := n.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	seeded := []string{"New", "NewPCG", "NewChaCha8", "NewSource", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}
	switch from := names[x.Name]; {
	case from == "time" && slices.Contains(clock, n.Sel.Name):
		return "time." + n.Sel.Name, "time is an argument: a decision takes now and never asks"
	case (from == "math/rand" || from == "math/rand/v2") && !slices.Contains(seeded, n.Sel.Name):
		return "rand." + n.Sel.Name, "chance is a seed that the caller gives, or no run can be repeated"
	}
	return "", ""
}

// localNames maps the names that f's imports go by to their paths.
func (h *house) localNames(f file) map[string]string {
	names := map[string]string{}
	for _, im := range h.imports {
		switch {
		case im.file != f.path:
		case im.name != "":
			names[im.name] = im.path
		case im.path == "math/rand/v2":
			names["rand"] = im.path
		default:
			names[path.Base(im.path)] = im.path
		}
	}
	return names
}

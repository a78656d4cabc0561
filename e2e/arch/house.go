package arch

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/sluice-dev/sluice"

// house is the module as source text.
type house struct {
	fset     *token.FileSet
	folders  []string // the top-level folders that git would keep
	packages []pkg    // by path
	imports  []importSpec
	readme   string // empty if there is none
}

// pkg is one folder with Go files.
type pkg struct {
	path  string // slash-separated, below the module's root; "." at the root
	files []file
}

// file is one Go file.
type file struct {
	path   string
	test   bool
	syntax *ast.File
}

// importSpec is one import of one file.
type importSpec struct {
	from string // the importing package, as in pkg.path
	file string
	line int
	test bool
	path string // what is imported
	name string // as the file names it; empty if it does not
}

func (im importSpec) violation(fact, reason string) Violation {
	return Violation{File: im.file, Line: im.line, Fact: fact, Reason: reason}
}

func read(tree fs.FS) (*house, error) {
	h := &house{fset: token.NewFileSet()}
	ignored, err := optional(tree, ".gitignore")
	if err != nil {
		return nil, err
	}
	if h.readme, err = optional(tree, "README.md"); err != nil {
		return nil, err
	}
	skipped := func(p string) bool {
		name := path.Base(p)
		return name == "testdata" || strings.HasPrefix(name, ".") && name != "." ||
			slices.Contains(strings.Fields(ignored), "/"+p+"/")
	}
	err = fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(p):
			return fs.SkipDir
		case d.IsDir() && path.Dir(p) == "." && p != ".":
			h.folders = append(h.folders, p)
		case strings.HasSuffix(p, ".go"):
			return h.add(tree, p)
		}
		return nil
	})
	return h, err
}

// add parses one Go file into its package. Files arrive in lexical order, but
// those of a folder may come before and after its subfolders.
func (h *house) add(tree fs.FS, p string) error {
	text, err := fs.ReadFile(tree, p)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(h.fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(p)
	i, found := slices.BinarySearchFunc(h.packages, dir, func(k pkg, dir string) int { return strings.Compare(k.path, dir) })
	if !found {
		h.packages = slices.Insert(h.packages, i, pkg{path: dir})
	}
	f := file{path: p, test: strings.HasSuffix(p, "_test.go"), syntax: syntax}
	h.packages[i].files = append(h.packages[i].files, f)
	h.addImports(dir, f)
	return nil
}

func (h *house) addImports(from string, f file) {
	for _, s := range f.syntax.Imports {
		im := importSpec{from: from, file: f.path, line: h.line(s), test: f.test}
		im.path, _ = strconv.Unquote(s.Path.Value) // the parser has done so before
		if s.Name != nil {
			im.name = s.Name.Name
		}
		h.imports = append(h.imports, im)
	}
}

func optional(tree fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// line is where a piece of syntax starts.
func (h *house) line(n ast.Node) int { return h.fset.Position(n.Pos()).Line }

// under reports whether path is folder or below it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// underAny reports whether path is one of the folders or below one.
func underAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return under(path, folder) })
}

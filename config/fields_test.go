package config

import (
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The reference of fields is written from the types and their comments: the two
// cannot come to differ.
func TestTheReferenceOfFieldsIsWhatTheTypesSay(t *testing.T) {
	got := reference(t)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile("fields.yaml", []byte(got), 0o644))
		return
	}
	require.Equal(t, RouteFields(), got, "a field or its comment changed: UPDATE_GOLDEN=1 writes fields.yaml anew")
}

func TestEveryFieldOfARouteSaysWhatItIs(t *testing.T) {
	docs := readDocs(t)
	eachField(reflect.TypeFor[RouteSpec](), "spec", func(path string, owner reflect.Type, f reflect.StructField) {
		t.Run(path, func(t *testing.T) {
			require.NotEmpty(t, docs.field(owner, f), "%s.%s has no comment", owner.Name(), f.Name)
		})
	})
}

// eachField visits the fields that a user can write.
func eachField(typ reflect.Type, path string, visit func(path string, owner reflect.Type, f reflect.StructField)) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || isText(typ) {
		return
	}
	for _, f := range fieldsOf(typ) {
		field := typ.Field(f.index)
		visit(path+"."+f.name, typ, field)
		eachField(field.Type, path+"."+f.name, visit)
	}
}

// docs are the comments of types, of their fields, and of the words they take.
type docs struct {
	types  map[string]string
	fields map[string]string // by Type.Field
	words  map[string][]word
}

type word struct{ value, doc string }

// field is what is said of a field, at it or else at its type.
func (d docs) field(owner reflect.Type, f reflect.StructField) string {
	typ := f.Type
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	own := d.fields[owner.Name()+"."+f.Name]
	if more := d.types[typ.Name()]; typ.Kind() == reflect.Struct && len(more) > len(own) {
		return strings.TrimSpace(own + "\n\n" + more)
	}
	return own
}

func readDocs(t *testing.T) docs {
	t.Helper()
	notTests := func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }
	packages, err := goparser.ParseDir(token.NewFileSet(), ".", notTests, goparser.ParseComments) //nolint:staticcheck // no build tags here
	require.NoError(t, err)
	d := docs{types: map[string]string{}, fields: map[string]string{}, words: map[string][]word{}}
	for _, file := range packages["config"].Files {
		for _, decl := range file.Decls {
			if general, ok := decl.(*ast.GenDecl); ok {
				d.read(general)
			}
		}
	}
	return d
}

func (d docs) read(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			d.types[spec.Name.Name] = said(decl.Doc, spec.Doc)
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						d.fields[spec.Name.Name+"."+name.Name] = said(f.Doc, f.Comment)
					}
				}
			}
		case *ast.ValueSpec:
			typ, named := spec.Type.(*ast.Ident)
			if !named || len(spec.Values) != 1 {
				continue
			}
			if value, ok := spec.Values[0].(*ast.BasicLit); ok && value.Kind == token.STRING {
				text, _ := strconv.Unquote(value.Value)
				d.words[typ.Name] = append(d.words[typ.Name], word{text, said(spec.Doc, spec.Comment)})
			}
		}
	}
}

func said(groups ...*ast.CommentGroup) string {
	var parts []string
	for _, g := range groups {
		if text := strings.TrimSpace(g.Text()); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "\n")
}

// reference writes every field of an InferenceRoute as a manifest with comments.
func reference(t *testing.T) string {
	t.Helper()
	w := writer{docs: readDocs(t)}
	w.say(0, "Every field of an InferenceRoute: what it means, its unit and its default. "+
		"What is not marked as required may be left out. TEXT, NUMBER, DURATION (as 250ms, 2m or 24h) and PERCENT (as 0.5%) "+
		"stand for values; words between bars are all that a field takes. Fields of an AnalysisPolicy: sluice policy show standard.")
	w.line(0, "apiVersion: "+APIVersion)
	w.line(0, "kind: "+KindRoute)
	w.line(0, "metadata:")
	w.line(1, "name: TEXT # required")
	w.line(1, "namespace: TEXT # default: default")
	w.line(1, "labels: {NAME: TEXT}")
	w.line(1, "annotations: {NAME: TEXT}")
	w.line(0, "spec:")
	w.structure(1, reflect.TypeFor[RouteSpec]())
	return w.out.String()
}

type writer struct {
	docs docs
	out  strings.Builder
	item bool // the next line begins an element of a list
}

func (w *writer) line(depth int, text string) {
	margin := strings.Repeat("  ", depth)
	if w.item && !strings.HasPrefix(text, "#") {
		margin, w.item = strings.TrimSuffix(margin, "  ")+"- ", false
	}
	fmt.Fprintln(&w.out, strings.TrimRight(margin+text, " "))
}

// say writes a comment, wrapped; empty lines part paragraphs.
func (w *writer) say(depth int, text string) {
	const width = 100
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			w.line(depth, "#")
		}
		line := "#"
		for word := range strings.FieldsSeq(paragraph) {
			if len(line) > 1 && 2*depth+len(line)+1+len(word) > width {
				w.line(depth, line)
				line = "#"
			}
			line += " " + word
		}
		w.line(depth, line)
	}
}

func (w *writer) structure(depth int, typ reflect.Type) {
	for i, f := range fieldsOf(typ) {
		field := typ.Field(f.index)
		if depth == 1 && i > 0 {
			w.line(0, "")
		}
		w.say(depth, w.docs.field(typ, field)+w.meanings(field.Type))
		w.value(depth, f, field.Type)
	}
}

// meanings of the words that a type takes, where they say more than the words do.
func (w *writer) meanings(typ reflect.Type) string {
	for typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	var said []string
	for _, word := range w.docs.words[typ.Name()] {
		if word.doc != "" {
			_, meaning, explained := strings.Cut(word.doc, " is ")
			if !explained {
				meaning = word.doc
			}
			said = append(said, word.value+": "+strings.TrimSuffix(meaning, "."))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return "\n\n" + strings.Join(said, ". ") + "."
}

func (w *writer) value(depth int, f field, typ reflect.Type) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	note := ""
	switch {
	case f.required && needed(typ):
		note = " # required"
	case f.fallback != "":
		note = " # default: " + f.fallback
	}
	switch {
	case typ.Kind() == reflect.Struct && !isText(typ):
		w.line(depth, f.name+":"+note)
		w.structure(depth+1, typ)
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
		w.line(depth, f.name+":"+note)
		w.item = true
		w.structure(depth+2, typ.Elem())
	case typ.Kind() == reflect.Slice:
		w.line(depth, f.name+": ["+w.stand(typ.Elem())+"]"+note)
	case typ.Kind() == reflect.Map:
		w.line(depth, f.name+": {NAME: "+w.stand(typ.Elem())+"}"+note)
	default:
		w.line(depth, f.name+": "+w.stand(typ)+note)
	}
}

// stand is what stands for a value.
func (w *writer) stand(typ reflect.Type) string {
	if words := w.docs.words[typ.Name()]; len(words) > 0 {
		values := make([]string, len(words))
		for i, word := range words {
			values[i] = word.value
		}
		return strings.Join(values, " | ")
	}
	switch {
	case isText(typ):
		return strings.ToUpper(typ.Name())
	case typ.Kind() == reflect.String:
		return "TEXT"
	case typ.Kind() == reflect.Bool:
		return "true | false"
	}
	return "NUMBER"
}

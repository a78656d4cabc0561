package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// Load reads and parses a file or a folder once. The error is config.Mistakes, or
// why nothing could be read.
func Load(path string) (*config.Config, error) {
	update := readState(path).update()
	return update.Config, update.Err
}

// Read gives a file, or the *.yaml, *.yml and *.json files of a folder by name, as
// Load parses them. Names that begin with a dot and subfolders are left out.
func Read(path string) ([]config.Document, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, named(path, err)
	}
	if !info.IsDir() {
		doc, err := readFile(path)
		return []config.Document{doc}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, named(path, err)
	}
	var docs []config.Document
	var errs []error
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		if !isManifest(name) {
			continue
		}
		doc, err := readFile(name)
		docs, errs = append(docs, doc), append(errs, err)
	}
	if len(docs) == 0 {
		return nil, noDocument(path)
	}
	return docs, errors.Join(errs...)
}

// isManifest says whether a folder's entry is read. Editors and Kubernetes hide
// their own files and folders behind a dot.
func isManifest(path string) bool {
	if !hasManifestName(path) {
		return false
	}
	info, err := os.Stat(path)
	return err != nil || !info.IsDir() // a link to nowhere is a mistake to be named
}

func hasManifestName(path string) bool {
	name := filepath.Base(path)
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

func readFile(path string) (config.Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return config.Document{}, named(path, err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		// Most likely it is being written. A route must not vanish for that.
		return config.Document{}, fmt.Errorf("%s: is empty", path)
	}
	return config.Document{Name: path, Data: data}, nil
}

func noDocument(path string) error {
	return fmt.Errorf("%s: holds no InferenceRoute and no AnalysisPolicy (*.yaml, *.yml or *.json)", path)
}

// named puts the path the user gave before what the system says of it.
func named(path string, err error) error {
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// state is what was read, to tell an edit from a mere event.
type state struct {
	read bool
	docs []config.Document
	err  error
	path string
}

func readState(path string) state {
	docs, err := Read(path)
	return state{read: true, docs: docs, err: err, path: path}
}

func (s state) equal(o state) bool {
	sameDocs := slices.EqualFunc(s.docs, o.docs, func(a, b config.Document) bool {
		return a.Name == b.Name && bytes.Equal(a.Data, b.Data)
	})
	return s.read == o.read && sameDocs && fmt.Sprint(s.err) == fmt.Sprint(o.err)
}

func (s state) update() Update {
	if s.err != nil {
		return Update{Err: s.err}
	}
	c, err := config.Parse(s.docs...)
	switch {
	case err != nil:
		return Update{Err: err}
	case len(c.Routes)+len(c.Policies) == 0:
		return Update{Err: noDocument(s.path)}
	}
	return Update{Config: c}
}

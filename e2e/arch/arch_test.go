package arch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestTheHouseKeepsItsRules(t *testing.T) {
	t.Parallel()
	violations, err := Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

// Each archive in testdata is a small house. The text above its first file is
// what Check must say of it, line for line; lines that begin with # are for the
// reader.
func TestPlantedViolationsAreCaught(t *testing.T) {
	t.Parallel()
	for _, story := range stories(t) {
		t.Run(strings.TrimSuffix(filepath.Base(story), ".txtar"), func(t *testing.T) {
			t.Parallel()
			tree, want := plant(t, story)
			violations, err := Check(tree)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range violations {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", story, diff)
			}
		})
	}
}

func TestEveryRuleIsSeenToCatchSomething(t *testing.T) {
	t.Parallel()
	caught := map[string]bool{}
	for _, story := range stories(t) {
		tree, _ := plant(t, story)
		violations, err := Check(tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range violations {
			caught[v.Rule] = true
		}
	}
	for rule := range rules() {
		if !caught[rule] {
			t.Errorf("rule %q: no archive in testdata breaks it", rule)
		}
	}
}

func TestEveryRowNamesPackagesThatHaveRows(t *testing.T) {
	t.Parallel()
	for name, row := range allowed() {
		for _, to := range row.may {
			if _, ok := allowed()[to]; !ok {
				t.Errorf("row %s: %s has no row of its own", name, to)
			}
		}
	}
	for _, name := range pure() {
		if _, ok := allowed()[name]; !ok {
			t.Errorf("pure package %s: has no row", name)
		}
	}
}

func TestRowsMakeNoCircle(t *testing.T) {
	t.Parallel()
	for name := range allowed() {
		if reaches(name, name) {
			t.Errorf("row %s: the rows let it import itself through others", name)
		}
	}
}

// reaches reports whether from may import to, directly or through others.
func reaches(from, to string) bool {
	var seen []string
	open := slices.Clone(allowed()[from].may)
	for len(open) > 0 {
		next := open[0]
		open = open[1:]
		if next == to {
			return true
		}
		if !slices.Contains(seen, next) {
			seen = append(seen, next)
			open = append(open, allowed()[next].may...)
		}
	}
	return false
}

func stories(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(found) == 0 {
		t.Fatalf("testdata: got %d archives, error %v; want some", len(found), err)
	}
	return found
}

func plant(t *testing.T, story string) (tree fstest.MapFS, want []string) {
	t.Helper()
	archive, err := txtar.ParseFile(story)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(archive.Comment)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			want = append(want, line)
		}
	}
	tree = fstest.MapFS{}
	for _, f := range archive.Files {
		if _, twice := tree[f.Name]; twice {
			t.Fatalf("%s: %s is there twice", story, f.Name)
		}
		tree[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return tree, want
}

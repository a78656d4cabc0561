package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Sample is one real file of this machine.
type Sample struct {
	Path    string
	Content []byte // the whole file
}

// Limits of the corpus.
const (
	MaxSample     = 256 << 10 // bytes; larger files are passed over
	perExtension  = 120
	visitedAtMost = 60_000
)

// Corpus reads real files, up to want of them, as varied in kind as the machine
// has: the Go tree's sources first, then documents, images, archives and
// programs. The seed fixes which. It is an error to find fewer than least.
func Corpus(seed uint64, least, want int) ([]Sample, error) {
	goroot, err := goRoot()
	if err != nil {
		return nil, err
	}
	kinds := map[string][]string{}
	for _, root := range []string{goroot, "/usr/share", "/usr/lib", "/etc", "/usr/bin"} {
		gather(root, kinds)
	}
	samples := pick(kinds, rand.New(rand.NewPCG(seed, 1)), want)
	if len(samples) < least {
		return nil, fmt.Errorf("corpus: found %d readable files under %s and /usr, need %d", len(samples), goroot, least)
	}
	return samples, nil
}

func goRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("corpus: go env GOROOT: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// gather lists files by extension, at most perExtension of each and root.
func gather(root string, kinds map[string][]string) {
	visited := 0
	counts := map[string]int{}
	// What cannot be read is not part of the corpus; nothing is wrong with it.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		visited++
		if visited > visitedAtMost {
			return fs.SkipAll
		}
		if !d.Type().IsRegular() {
			return nil
		}
		kind := strings.ToLower(filepath.Ext(path))
		if counts[kind] >= perExtension {
			return nil
		}
		counts[kind]++
		kinds[kind] = append(kinds[kind], path)
		return nil
	})
}

// pick takes files kind by kind in turn, so that no kind crowds out another.
func pick(kinds map[string][]string, random *rand.Rand, want int) []Sample {
	names := sortedKeys(kinds)
	for _, name := range names {
		paths := kinds[name]
		random.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	}
	var samples []Sample
	for depth := 0; len(samples) < want && depth < 4*perExtension; depth++ {
		for _, name := range names {
			if depth >= len(kinds[name]) || len(samples) == want {
				continue
			}
			if s, err := readSample(kinds[name][depth]); err == nil {
				samples = append(samples, s)
			}
		}
	}
	return samples
}

var errUnfit = errors.New("is empty or too large")

func readSample(path string) (Sample, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Sample{}, err
	}
	if info.Size() == 0 || info.Size() > MaxSample {
		return Sample{}, errUnfit
	}
	content, err := os.ReadFile(path)
	return Sample{Path: path, Content: content}, err
}

package stage

import (
	"fmt"
	"os"
	"path/filepath"
)

// Part is the path of something that `make parts` fetched: what the environment
// variable names, if it is set, and otherwise the path below .cache/parts of the
// working folder.
func Part(variable, path string) (string, error) {
	found := os.Getenv(variable)
	if found == "" {
		found = filepath.Join(".cache", "parts", filepath.FromSlash(path))
	}
	return existing(found, "run `make parts`")
}

// Built is the path of a program that `make build` puts into bin/.
func Built(program string) (string, error) {
	return existing(filepath.Join("bin", program), "run `make build`")
}

// existing makes a path absolute, and says what to do where nothing is there.
func existing(path, remedy string) (string, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(whole); err != nil {
		return "", fmt.Errorf("%s: is not there (%s): %w", path, remedy, err)
	}
	return whole, nil
}

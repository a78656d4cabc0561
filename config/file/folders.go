package file

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds a chain of symbolic links, as Linux does.
const maxLinks = 40

// way is all that decides what a path, and what is in it, reads as.
type way struct {
	folders   map[string]bool // in which it can change
	names     map[string]bool // of files, folders and links on the way
	manifests string          // the folder whose manifests are read; empty where a file is
}

// wayTo follows a path and, if it is a folder, the links in it.
func wayTo(path string) way {
	w := way{folders: map[string]bool{}, names: map[string]bool{}}
	end := w.follow(path)
	entries, err := os.ReadDir(path)
	if err != nil {
		return w // no folder, or gone
	}
	w.manifests = end
	for _, entry := range entries {
		if name := filepath.Join(path, entry.Name()); entry.Type()&os.ModeSymlink != 0 && isManifest(name) {
			w.follow(name)
		}
	}
	return w
}

// follow adds a path, one name at a time, and gives what it comes to.
func (w way) follow(path string) (end string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	here, names := filepath.VolumeName(path)+string(filepath.Separator), namesOf(path)
	for links := 0; len(names) > 0; {
		next := filepath.Join(here, names[0])
		w.names[next] = true
		info, err := os.Lstat(next)
		switch {
		case err != nil || links > maxLinks:
			w.folders[here] = true // it may come to be
			return next
		case info.Mode()&os.ModeSymlink == 0:
			if len(names) == 1 {
				w.folders[here] = true
			}
			here, names = next, names[1:]
			continue
		}
		links++
		w.folders[here] = true
		target, err := os.Readlink(next)
		if err != nil {
			return next
		}
		if filepath.IsAbs(target) {
			here = filepath.VolumeName(target) + string(filepath.Separator)
		}
		names = append(namesOf(target), names[1:]...)
	}
	if info, err := os.Stat(here); err == nil && info.IsDir() {
		w.folders[here] = true
	}
	return here
}

// namesOf takes a path apart.
func namesOf(path string) []string {
	path = strings.TrimPrefix(filepath.Clean(path), filepath.VolumeName(path))
	return strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator })
}

package file

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds a chain of symbolic links, as Linux does.
const maxLinks = 40

// foldersOf lists the folders in which something can happen that changes what a
// path, and what is in it, reads as: the one it is in, itself if it is one, and
// the one of every symbolic link on the way there.
func foldersOf(path string) []string {
	folders := chain(path)
	entries, err := os.ReadDir(path)
	if err != nil {
		return folders // no folder, or gone
	}
	for _, entry := range entries {
		if name := filepath.Join(path, entry.Name()); entry.Type()&os.ModeSymlink != 0 && isManifest(name) {
			folders = append(folders, chain(name)...)
		}
	}
	return folders
}

// chain follows a path one name at a time.
func chain(path string) (folders []string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	here, names := filepath.VolumeName(path)+string(filepath.Separator), namesOf(path)
	for links := 0; len(names) > 0; {
		next := filepath.Join(here, names[0])
		info, err := os.Lstat(next)
		switch {
		case err != nil || links > maxLinks:
			return append(folders, here) // it may come to be
		case info.Mode()&os.ModeSymlink == 0:
			if len(names) == 1 {
				folders = append(folders, here)
			}
			here, names = next, names[1:]
			continue
		}
		links++
		folders = append(folders, here)
		target, err := os.Readlink(next)
		if err != nil {
			return folders
		}
		if filepath.IsAbs(target) {
			here = filepath.VolumeName(target) + string(filepath.Separator)
		}
		names = append(namesOf(target), names[1:]...)
	}
	if info, err := os.Stat(here); err == nil && info.IsDir() {
		folders = append(folders, here)
	}
	return folders
}

// namesOf takes a path apart.
func namesOf(path string) []string {
	path = strings.TrimPrefix(filepath.Clean(path), filepath.VolumeName(path))
	return strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator })
}

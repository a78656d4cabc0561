package file

import (
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/sluice-dev/sluice/config"
)

// edit says what is known of one, by how much it keeps from being read.
type edit int

const (
	nothing   edit = iota
	elsewhere      // in a folder that is watched, but in nothing that is read
	wholly         // whole files, folders or links came into place, went, or may be read by others
	partly         // something may be half written
	overdue        // it is read whatever it is
)

// edit gives what an event is of.
func (w way) edit(e fsnotify.Event) edit {
	switch {
	case !w.passes(e.Name):
		return elsewhere
	case e.Has(fsnotify.Write):
		return partly
	case e.Has(fsnotify.Create) && e == fsnotify.Event{Name: e.Name, Op: e.Op}:
		return partly // what was renamed into place knows its former name
	}
	return wholly
}

// pending gives what the events are of that have come by now.
func (w way) pending(watcher *fsnotify.Watcher) edit {
	for seen := nothing; ; {
		select {
		case e := <-watcher.Events:
			seen = max(seen, w.edit(e))
		default:
			return seen
		}
	}
}

// passes says whether a name leads to what is read.
func (w way) passes(name string) bool {
	return w.names[name] || w.manifests == filepath.Dir(name) && hasManifestName(name)
}

// keeps says whether an update is a config that has all that another one has.
func (u Update) keeps(before *config.Config) bool {
	if u.Config == nil || before == nil {
		return u.Config != nil
	}
	there := map[any]bool{}
	for _, r := range u.Config.Routes {
		there[r.Key] = true
	}
	type policy config.Key
	for _, p := range u.Config.Policies {
		there[policy(p.Key)] = true
	}
	for _, r := range before.Routes {
		if !there[r.Key] {
			return false
		}
	}
	for _, p := range before.Policies {
		if !there[policy(p.Key)] {
			return false
		}
	}
	return true
}

package archive

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

// prune forgets the reviews and the decisions of the oldest rollouts of an inference route.
func (a *Archive) prune(k config.Key) {
	s, ok := a.Current(k)
	if !ok {
		return
	}
	filed, err := a.filed(k)
	if err != nil {
		a.Slog.Error("reviews not pruned", "route", k.String(), "error", err)
		return
	}
	old := excess(filed, a.Keep, s.State)
	if len(old) == 0 {
		return
	}
	errs := []error{a.Log.Forget(k, old...)}
	for _, id := range old {
		errs = append(errs, os.RemoveAll(filepath.Dir(a.path(k, id, "json"))))
	}
	if err := errors.Join(errs...); err != nil {
		a.Slog.Error("reviews not pruned", "route", k.String(), "error", err)
		return
	}
	a.Slog.Info("oldest reviews forgotten", "route", k.String(), "rollouts", old, "kept", a.Keep)
}

// filed lists the rollouts that have a review or decisions.
func (a *Archive) filed(k config.Key) ([]string, error) {
	ids, err := a.Log.Rollouts(k)
	if err != nil {
		return nil, err
	}
	reviews, err := a.reviewed(k)
	ids = append(ids, reviews...)
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// reviewed lists the rollouts that have a review in the folder.
func (a *Archive) reviewed(k config.Key) (ids []string, err error) {
	folders, err := os.ReadDir(filepath.Join(a.Folder, k.Namespace, k.Name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, f := range folders {
		if f.IsDir() {
			ids = append(ids, f.Name())
		}
	}
	return ids, nil
}

// excess are the rollouts beyond the newest keep. Those that the state still speaks of stay: the one that runs,
// those that ended last, and the newest of every version that may come back, or is stable.
func excess(filed []string, keep int, s canary.State) []string {
	ids := newestFirst(filed)
	stays := map[string]bool{}
	if s.Rollout != nil {
		stays[s.Rollout.ID] = true
	}
	for _, f := range s.History {
		stays[f.ID] = true
	}
	for _, t := range s.ABTests {
		stays[t.ID] = true
	}
	returns := map[string]bool{s.Stable: true}
	for _, f := range s.Formers {
		returns[f.Version.Name] = true
	}
	for _, id := range ids {
		if version, _ := cut(id); returns[version] {
			stays[id], returns[version] = true, false
		}
	}
	var old []string
	for i, id := range ids {
		if _, n := cut(id); n > 0 && i >= keep && !stays[id] {
			old = append(old, id)
		}
	}
	return old
}

// newest is the rollout that runs, or else the last.
func (a *Archive) newest(k config.Key, s canary.State) (string, error) {
	if s.Rollout != nil {
		return s.Rollout.ID, nil
	}
	if t := s.AskedTest(); t != nil {
		return t.ID, nil
	}
	if len(s.History) > 0 {
		return s.History[0].ID, nil
	}
	ids, err := a.reviewed(k)
	if err != nil {
		return "", err
	}
	if ids = newestFirst(ids); len(ids) == 0 {
		return "", fmt.Errorf("%w: %s: there was no rollout yet", review.ErrNone, k)
	}
	return ids[0], nil
}

func newestFirst(ids []string) []string {
	return slices.SortedFunc(slices.Values(ids), func(a, b string) int {
		_, m := cut(a)
		_, n := cut(b)
		return cmp.Or(cmp.Compare(n, m), cmp.Compare(a, b))
	})
}

// cut takes a rollout's id apart: its candidate, and its number among the inference route's rollouts. What is no
// rollout's id has number 0.
func cut(id string) (candidate string, n uint64) {
	i := strings.LastIndex(id, "-")
	if i < 0 {
		return id, 0
	}
	n, err := strconv.ParseUint(id[i+1:], 10, 64)
	if err != nil {
		return id, 0
	}
	return id[:i], n
}

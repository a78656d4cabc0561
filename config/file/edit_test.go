package file

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

// renamed gives the event of a file that is renamed into place.
func renamed(t *testing.T) fsnotify.Event {
	t.Helper()
	folder := t.TempDir()
	half := filepath.Join(folder, "half")
	require.NoError(t, os.WriteFile(half, nil, 0o600))
	watcher, err := fsnotify.NewWatcher()
	require.NoError(t, err)
	defer func() { require.NoError(t, watcher.Close()) }()
	require.NoError(t, watcher.Add(folder))
	require.NoError(t, os.Rename(half, filepath.Join(folder, "whole")))
	for e := range watcher.Events {
		if e.Has(fsnotify.Create) {
			return e
		}
	}
	t.Fatal("no event")
	return fsnotify.Event{}
}

func TestWhatIsRenamedIntoPlaceIsReadAtOnceAndWhatIsWrittenInPlaceWhenItHasSettled(t *testing.T) {
	const settle = 20 * time.Millisecond
	put := renamed(t)
	into := func(name string) fsnotify.Event { e := put; e.Name = name; return e }
	on := func(name string, op fsnotify.Op) fsnotify.Event { return fsnotify.Event{Name: name, Op: op} }
	type events []fsnotify.Event
	for name, tt := range map[string]struct {
		events events
		want   edit
		after  time.Duration
	}{
		"a file that is renamed into place":          {events{into("/m/a.yaml")}, wholly, 0},
		"one that was written beside it first":       {events{on("/m/a.half", fsnotify.Create), on("/m/a.half", fsnotify.Write), on("/m/a.half", fsnotify.Rename), into("/m/a.yaml")}, wholly, 0},
		"a link":                                     {events{into("/m/..data")}, wholly, 0},
		"a file that goes":                           {events{on("/m/a.yaml", fsnotify.Remove)}, wholly, 0},
		"a file that is made in place":               {events{on("/m/a.yaml", fsnotify.Create), on("/m/a.yaml", fsnotify.Write)}, partly, settle},
		"one that is written while another comes":    {events{on("/m/b.yaml", fsnotify.Write), into("/m/a.yaml")}, partly, settle},
		"one that comes while another is written":    {events{on("/m/a.half", fsnotify.Write), into("/m/a.yaml"), on("/m/b.yaml", fsnotify.Write)}, partly, settle},
		"one that is written once more":              {events{into("/m/a.yaml"), on("/m/a.yaml", fsnotify.Write)}, partly, settle},
		"one that becomes readable":                  {events{on("/m/a.yaml", fsnotify.Chmod)}, wholly, 0},
		"what has no part in it":                     {events{on("/m/a.yaml~", fsnotify.Write)}, elsewhere, settle},
		"a manifest of another folder that is known": {events{on("/m/old/a.yaml", fsnotify.Write)}, elsewhere, settle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				watcher := &fsnotify.Watcher{Events: make(chan fsnotify.Event, buffered)}
				for _, e := range tt.events {
					watcher.Events <- e
				}
				w := way{names: map[string]bool{"/m": true, "/m/..data": true}, manifests: "/m"}
				began := time.Now()
				got, err := (&Source{config: Config{Settle: settle}}).wait(t.Context(), watcher, w, nothing)
				require.NoError(t, err)
				require.Equal(t, tt.want, got)
				require.Equal(t, tt.after, time.Since(began))
			})
		})
	}
}

func TestAFileThatIsWrittenForEverIsReadNevertheless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watcher := &fsnotify.Watcher{Events: make(chan fsnotify.Event)}
		ctx, stop := context.WithCancel(t.Context())
		var writer sync.WaitGroup
		writer.Go(func() {
			for ctx.Err() == nil {
				select {
				case watcher.Events <- fsnotify.Event{Name: "/m/a.yaml", Op: fsnotify.Write}:
				case <-ctx.Done():
				}
				<-time.After(time.Millisecond)
			}
		})
		began := time.Now()
		got, err := (&Source{config: Config{Settle: 20 * time.Millisecond}}).wait(ctx, watcher, way{manifests: "/m"}, nothing)
		require.NoError(t, err)
		require.Equal(t, overdue, got)
		require.Equal(t, time.Second, time.Since(began))
		stop()
		writer.Wait()
	})
}

func TestAnUpdateKeepsWhatIsThere(t *testing.T) {
	of := func(routes, policies string) *config.Config {
		c := &config.Config{}
		for _, name := range routes {
			c.Routes = append(c.Routes, config.InferenceRoute{Key: config.Key{Name: string(name)}})
		}
		for _, name := range policies {
			c.Policies = append(c.Policies, config.AnalysisPolicy{Key: config.Key{Name: string(name)}})
		}
		return c
	}
	require.True(t, Update{Config: of("a", "")}.keeps(nil))
	require.True(t, Update{Config: of("abc", "p")}.keeps(of("ab", "p")))
	require.False(t, Update{Config: of("a", "p")}.keeps(of("ab", "p")))
	require.False(t, Update{Config: of("ab", "")}.keeps(of("ab", "a")), "a route is no policy")
	require.False(t, Update{Err: os.ErrNotExist}.keeps(nil), "a mistake may be half an edit")
}

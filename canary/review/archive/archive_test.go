package archive_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/canary/review/archive"
	"github.com/sluice-dev/sluice/config"
)

var key = config.Key{Namespace: "ml", Name: "filetype"}

// log has one decision per rollout that it is asked for.
type log struct {
	ids       []string
	forgotten []string
}

func (*log) Decisions(k config.Key, rollout string) ([]canary.Decision, error) {
	return []canary.Decision{{Seq: 1, Route: k, Rollout: rollout, Actor: canary.Machine, Text: "ends"}}, nil
}

func (l *log) Rollouts(config.Key) ([]string, error) { return l.ids, nil }

func (l *log) Forget(_ config.Key, ids ...string) error {
	l.forgotten = append(l.forgotten, ids...)
	return nil
}

func holding(s controller.Snapshot) *atomic.Pointer[controller.Snapshot] {
	var p atomic.Pointer[controller.Snapshot]
	p.Store(&s)
	return &p
}

func ended() controller.Snapshot {
	r := canary.Rollout{ID: "v2-1", Stable: "v1", Candidate: "v2"}
	route := config.RouteSpec{Timeouts: config.Timeouts{Request: config.Duration(30 * time.Second)}}
	return controller.Snapshot{Route: route, State: canary.State{
		Route: key, Stable: "v1",
		History: []canary.Finished{{Rollout: r, Outcome: canary.OutcomeRolledBack, Reason: "harm"}},
	}, Traces: []canary.Trace{{Rollout: "v2-1", Candidate: canary.Exposure{Requests: 3}}}}
}

func newArchive(t *testing.T, folder string, now *atomic.Pointer[controller.Snapshot]) *archive.Archive {
	a, err := archive.New(archive.Config{
		Folder: folder, Log: &log{},
		Current: func(k config.Key) (controller.Snapshot, bool) { return *now.Load(), k == key },
	})
	require.NoError(t, err)
	return a
}

func read(t *testing.T, folder string) review.Review {
	data, err := os.ReadFile(filepath.Join(folder, "ml", "filetype", "v2-1", "review.json"))
	require.NoError(t, err)
	r, err := review.Parse(data)
	require.NoError(t, err, "its hash is that of its content")
	return r
}

func TestAReviewIsWrittenAtOnceAndAgainWithTheLastRequests(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		now := holding(ended())
		a := newArchive(t, folder, now)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()

		a.Record(canary.Decision{Route: key, Rollout: "v2-1"}, *now.Load())
		synctest.Wait()
		require.Equal(t, int64(3), read(t, folder).Exposure[1].Requests)

		late := ended()
		late.Traces = []canary.Trace{{Rollout: "v2-1", Candidate: canary.Exposure{Requests: 5}}}
		now.Store(&late)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, int64(5), read(t, folder).Exposure[1].Requests, "late log entries are in it")

		hung := late
		hung.Traces = []canary.Trace{{Rollout: "v2-1", Candidate: canary.Exposure{Requests: 7, Errors: 2}}}
		now.Store(&hung)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, int64(7), read(t, folder).Exposure[1].Requests, "those that hung until the time-out, too")
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	require.FileExists(t, filepath.Join(folder, "ml", "filetype", "v2-1", "review.html"))
}

func TestAReviewIsWrittenOfWhatWasKnownWithTheEndWhere(t *testing.T) {
	running := controller.Snapshot{State: canary.State{Route: key, Seq: 1, Rollout: &canary.Rollout{ID: "v2-1"}}}
	for name, current := range map[string]func(config.Key) (controller.Snapshot, bool){
		"the route is gone":                func(config.Key) (controller.Snapshot, bool) { return controller.Snapshot{}, false },
		"the snapshot has not heard of it": func(config.Key) (controller.Snapshot, bool) { return running, true },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				a, err := archive.New(archive.Config{Folder: folder, Log: &log{}, Current: current})
				require.NoError(t, err)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- a.Run(ctx) }()
				then := ended()
				then.State.Seq = 2
				a.Record(canary.Decision{Route: key, Rollout: "v2-1"}, then)
				synctest.Wait()
				require.Equal(t, int64(3), read(t, folder).Exposure[1].Requests)
				require.Equal(t, canary.OutcomeRolledBack, read(t, folder).Decision.Outcome)
				stop()
				require.ErrorIs(t, <-done, context.Canceled)
			})
		})
	}
}

// writes runs an archive and counts how often it says that it wrote.
func writes(t *testing.T, now *atomic.Pointer[controller.Snapshot], happen func(*archive.Archive)) int {
	var said bytes.Buffer
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, err := archive.New(archive.Config{
			Folder: folder, Log: &log{}, Slog: slog.New(slog.NewTextHandler(&said, nil)),
			Current: func(k config.Key) (controller.Snapshot, bool) { return *now.Load(), k == key },
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		happen(a)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	return strings.Count(said.String(), "review written")
}

func TestAReviewIsWrittenAgainOnlyIfItSaysSomethingElse(t *testing.T) {
	now := holding(ended())
	d := canary.Decision{Route: key, Rollout: "v2-1"}

	got := writes(t, now, func(a *archive.Archive) {
		a.Record(d, *now.Load()) // it ends
		synctest.Wait()
		later := ended()
		later.At = later.At.Add(time.Second)
		now.Store(&later)
		a.Record(d, *now.Load()) // it is seen again, with nothing new
	})

	require.Equal(t, 1, got)
}

func TestWhatComesTogetherIsWrittenTogether(t *testing.T) {
	now := holding(ended())
	d := canary.Decision{Route: key, Rollout: "v2-1"}

	got := writes(t, now, func(a *archive.Archive) {
		for requests := range int64(4) { // it ends, is acknowledged, is seen
			late := ended()
			late.Traces = []canary.Trace{{Rollout: "v2-1", Candidate: canary.Exposure{Requests: requests}}}
			now.Store(&late)
			a.Record(d, late)
			synctest.Wait()
		}
	})

	require.Equal(t, 2, got, "at once, and when all is known")
}

func TestAReviewOfWhatNothingWasSeenOfSaysWhatIsConfigured(t *testing.T) {
	s := ended()
	s.Traces = nil
	s.Route.Versions = []config.Version{{Name: "v1", Endpoints: []string{"127.0.0.1:1"}}, {Name: "v2", Endpoints: []string{"127.0.0.1:2"}}}
	a := newArchive(t, t.TempDir(), holding(s))

	got, err := a.Review(key, "v2-1")

	require.NoError(t, err)
	require.Equal(t, s.Route.Versions[0], got.Change.From)
	require.Equal(t, s.Route.Versions[1], got.Change.To)
}

func TestEveryRolloutOfAQuickSuccessionIsWritten(t *testing.T) {
	now := holding(ended())

	got := writes(t, now, func(a *archive.Archive) {
		a.Record(canary.Decision{Route: key, Rollout: "v2-1"}, *now.Load())
		synctest.Wait()
		next := ended()
		f := next.State.History[0]
		f.ID = "v2-2"
		next.State.History = append([]canary.Finished{f}, next.State.History...)
		now.Store(&next)
		a.Record(canary.Decision{Route: key, Rollout: "v2-2"}, next)
	})

	require.Equal(t, 2, got)
}

func TestTheOldestReviewsAndTheirDecisionsAreForgotten(t *testing.T) {
	folder := t.TempDir()
	s := ended()
	s.State.Rollout = &canary.Rollout{ID: "v9-1"}
	s.State.Stable = "v1"
	s.State.History[0].ID = "v2-12"
	s.State.History[0].Rollout.ID = "v2-12"
	s.State.Formers = []canary.Former{{Version: config.Version{Name: "v0"}}}
	filed := &log{ids: []string{"v9-1", "v1-2", "v1-3", "v0-4", "v2-5", "v2-10", "v2-11", "v2-12"}}
	for _, id := range append([]string{"notes"}, filed.ids...) {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "ml", "filetype", id), 0o750))
	}
	synctest.Test(t, func(t *testing.T) {
		a, err := archive.New(archive.Config{
			Folder: folder, Log: filed, Keep: 2,
			Current: func(k config.Key) (controller.Snapshot, bool) { return s, k == key },
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		a.Record(canary.Decision{Route: key, Rollout: "v2-12"}, s)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})

	gone := []string{"v2-10", "v2-5", "v1-2"}
	require.Equal(t, gone, filed.forgotten, "not what runs, what may come back, or what made stable what it is")
	for _, id := range gone {
		require.NoDirExists(t, filepath.Join(folder, "ml", "filetype", id))
	}
	for _, id := range []string{"v9-1", "v1-3", "v0-4", "v2-11", "v2-12", "notes"} {
		require.DirExists(t, filepath.Join(folder, "ml", "filetype", id))
	}
}

func TestAReviewOutlivesItsInferenceRoute(t *testing.T) {
	folder := t.TempDir()
	before := archived(t, folder)
	a, err := archive.New(archive.Config{
		Folder: folder, Log: &log{},
		Current: func(config.Key) (controller.Snapshot, bool) { return controller.Snapshot{}, false },
	})
	require.NoError(t, err)

	got, err := a.Review(key, "")

	require.NoError(t, err)
	require.Equal(t, before, got)
	_, err = a.Review(config.Key{Namespace: "ml", Name: "never"}, "")
	require.ErrorIs(t, err, review.ErrNone)
}

// archived writes a review and gives it.
func archived(t *testing.T, folder string) review.Review {
	now := holding(ended())
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, folder, now)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		a.Record(canary.Decision{Route: key, Rollout: "v2-1"}, *now.Load())
		synctest.Wait()
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	return read(t, folder)
}

func TestAReviewOutlivesWhatTheStateRemembers(t *testing.T) {
	folder := t.TempDir()
	now := holding(ended())
	a := newArchive(t, folder, now)
	archived(t, folder)

	forgetful := ended()
	forgetful.State.History = nil
	now.Store(&forgetful)
	got, err := a.Review(key, "v2-1")
	require.NoError(t, err)
	require.Equal(t, canary.OutcomeRolledBack, got.Decision.Outcome)

	_, err = a.Review(key, "v9-1")
	require.ErrorIs(t, err, review.ErrNone)
	_, err = a.Review(key, "../../../etc")
	require.Error(t, err, "a rollout's name is no path")
	got, err = a.Review(key, "")
	require.NoError(t, err)
	require.Equal(t, "v2-1", got.Rollout, "the newest of the files")
	_, err = a.Review(config.Key{Namespace: "ml", Name: "other"}, "")
	require.Error(t, err)
}

func TestADecisionBetweenRolloutsWritesNothing(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		now := holding(ended())
		a := newArchive(t, folder, now)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		a.Record(canary.Decision{Route: key}, *now.Load())
		a.Record(canary.Decision{Route: key, Rollout: "v3-2"}, *now.Load())
		time.Sleep(3 * time.Second)
		stop()
		<-done
	})
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestAnABTestThatEndsHasAReviewAndStaysWhileItIsConfigured(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := ended()
		s.State.ABTests = []canary.ABTest{
			{ID: "abtest-3", Began: time.Unix(9, 0).UTC()},
			{ID: "abtest-2", Began: time.Unix(5, 0).UTC(), Ended: time.Unix(9, 0).UTC(), Cause: canary.CauseEdited, Left: true},
		}
		s.ABTraces = []canary.ABTrace{{Test: "abtest-3"}, {Test: "abtest-2", Counts: analysis.ABCounts{Reported: 7, Unknown: 7}}}
		a := newArchive(t, folder, holding(s))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		a.Record(canary.Decision{Route: key, Rollout: "abtest-3"}, s) // it runs
		a.Record(canary.Decision{Route: key, Rollout: "abtest-2"}, s)
		synctest.Wait()
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
		data, err := os.ReadFile(filepath.Join(folder, "ml", "filetype", "abtest-2", "review.json"))
		require.NoError(t, err)
		r, err := review.Parse(data)
		require.NoError(t, err)
		require.EqualValues(t, 7, r.ABTest.Counts.Unknown)
		require.NoDirExists(t, filepath.Join(folder, "ml", "filetype", "abtest-3"))
		newest, err := a.Review(key, "")
		require.NoError(t, err)
		require.Equal(t, "abtest-3", newest.Rollout)
	})
}

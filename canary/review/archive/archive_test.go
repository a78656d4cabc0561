package archive_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/canary/review/archive"
	"github.com/sluice-dev/sluice/config"
)

var key = config.Key{Namespace: "ml", Name: "filetype"}

// log has one decision per rollout that it is asked for.
type log struct{}

func (log) Decisions(k config.Key, rollout string) ([]canary.Decision, error) {
	return []canary.Decision{{Seq: 1, Route: k, Rollout: rollout, Actor: canary.Machine, Text: "ends"}}, nil
}

func holding(s controller.Snapshot) *atomic.Pointer[controller.Snapshot] {
	var p atomic.Pointer[controller.Snapshot]
	p.Store(&s)
	return &p
}

func ended() controller.Snapshot {
	r := canary.Rollout{ID: "v2-1", Stable: "v1", Candidate: "v2"}
	return controller.Snapshot{State: canary.State{
		Route: key, Stable: "v1",
		History: []canary.Finished{{Rollout: r, Outcome: canary.OutcomeRolledBack, Reason: "harm"}},
	}, Traces: []canary.Trace{{Rollout: "v2-1", Candidate: canary.Exposure{Requests: 3}}}}
}

func newArchive(t *testing.T, folder string, now *atomic.Pointer[controller.Snapshot]) *archive.Archive {
	a, err := archive.New(archive.Config{
		Folder: folder, Log: log{},
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
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	require.FileExists(t, filepath.Join(folder, "ml", "filetype", "v2-1", "review.html"))
}

func TestAReviewOutlivesWhatTheStateRemembers(t *testing.T) {
	folder := t.TempDir()
	now := holding(ended())
	a := newArchive(t, folder, now)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	a.Record(canary.Decision{Route: key, Rollout: "v2-1"}, *now.Load())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(folder, "ml", "filetype", "v2-1", "review.html"))
		return err == nil
	}, 10*time.Second, time.Millisecond)
	stop()
	require.ErrorIs(t, <-done, context.Canceled)

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
	_, err = a.Review(key, "")
	require.ErrorIs(t, err, review.ErrNone, "there was no rollout")
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

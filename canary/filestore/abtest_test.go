package filestore_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/filestore"
)

// tested is a checkpoint while an A/B test runs, with what that has counted, or nil.
func tested(seq uint64, kept *canary.KeptABTest) canary.Checkpoint {
	c := checkpoint(seq)
	c.State.Rollout, c.Evidence, c.ABTest = nil, nil, kept
	c.State.ABTests = []canary.ABTest{{ID: "abtest-1", Began: time.Unix(1, 0).UTC()}}
	return c
}

func counted(reported int64, memory []byte) *canary.KeptABTest {
	return &canary.KeptABTest{ID: "abtest-1", ABSaved: analysis.ABSaved{
		Counts: analysis.ABCounts{Reported: reported}, Epochs: map[uint64]bool{7: true}, Memory: memory,
	}}
}

func TestDecisionsLeaveWhatATestHasCountedWhereItIs(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	first, second := counted(1, bytes.Repeat([]byte{1, 2, 3}, 1<<20)), counted(2, []byte{4})
	require.NoError(t, s.Save(tested(1, first), nil))
	pages := func() (root, size int) {
		require.NoError(t, s.Close())
		db, err := bolt.Open(filepath.Join(dir, "state.db"), 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.View(func(tx *bolt.Tx) error {
			route := tx.Bucket([]byte("routes")).Bucket([]byte("ml/filetype"))
			root, size = int(route.Bucket([]byte("abTest")).Root()), len(route.Get([]byte("state")))
			return nil
		}))
		require.NoError(t, db.Close())
		s = openIn(t, dir)
		return root, size
	}
	load := func() canary.Checkpoint {
		c, ok, err := s.Load(key)
		require.NoError(t, err)
		require.True(t, ok)
		return c
	}
	was, _ := pages()
	for seq := range uint64(20) {
		require.NoError(t, s.Save(tested(seq+2, nil), []canary.Decision{decision(seq+2, "")}))
	}
	is, size := pages()
	require.Equal(t, was, is, "its pages were not written again")
	require.Less(t, size, 10_000, "nor is it in the state")
	require.EqualValues(t, 21, load().State.Seq)
	require.Equal(t, first, load().ABTest)

	require.NoError(t, s.Save(tested(22, second), nil))
	require.Equal(t, second, load().ABTest)

	over := tested(23, nil)
	over.State.ABTests[0].Ended = time.Unix(9, 0)
	require.NoError(t, s.Save(over, nil))
	require.NoError(t, s.Save(tested(24, nil), nil))
	require.Nil(t, load().ABTest, "nothing is kept of a test that has ended")
	require.NoError(t, s.Close())
}

func TestWhatAnOlderVersionCountedIsRead(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	require.NoError(t, s.Save(tested(1, counted(1, []byte("ours"))), nil))
	require.NoError(t, s.Close())

	older := tested(2, counted(2, []byte("theirs")))
	state, err := json.Marshal(older)
	require.NoError(t, err)
	db, err := bolt.Open(filepath.Join(dir, "state.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("routes")).Bucket([]byte("ml/filetype")).Put([]byte("state"), state)
	}))
	require.NoError(t, db.Close())

	s = openIn(t, dir)
	defer s.Close()
	c, _, err := s.Load(key)
	require.NoError(t, err)
	require.Equal(t, older.ABTest, c.ABTest, "and is newer than what is beside it")
}

// A decision beside a test of many users.
func BenchmarkSaveBesideATest(b *testing.B) {
	s, err := filestore.Open(filepath.Join(b.TempDir(), "state.db"))
	require.NoError(b, err)
	defer s.Close()
	require.NoError(b, s.Save(tested(1, counted(1, make([]byte, 16<<20))), nil))
	seq := uint64(1)
	for b.Loop() {
		seq++
		require.NoError(b, s.Save(tested(seq, nil), []canary.Decision{decision(seq, "")}))
	}
}

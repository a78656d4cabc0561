package filestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/filestore"
	"github.com/sluice-dev/sluice/config"
)

var key = config.Key{Namespace: "ml", Name: "filetype"}

func openIn(t *testing.T, dir string) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(filepath.Join(dir, "state.db"))
	require.NoError(t, err)
	return s
}

func checkpoint(seq uint64) canary.Checkpoint {
	arms := analysis.Arms{Route: key, Stable: "v1", Candidate: "v2"}
	evidence := analysis.NewEvidence(config.Standard(), arms)
	return canary.Checkpoint{
		State: canary.State{
			Route: key, Seq: seq, Stable: "v1", Used: 7, Reserved: 64,
			Published: config.Split{Epoch: 7, Shares: config.Carve("v1", "v2", 500, 1234)},
			Rollout: &canary.Rollout{
				ID: "v2-1", Stable: "v1", Candidate: "v2", Phase: canary.Stepping,
				Policy: config.Standard(), Began: time.Unix(1, 0).UTC(), Base: canary.Uncounted,
			},
		},
		Policy:   config.Standard(),
		Evidence: &evidence,
		Traces:   []canary.Trace{{Rollout: "v2-1", Arms: arms}},
	}
}

func decision(seq uint64, rollout string) canary.Decision {
	return canary.Decision{
		Seq: seq, Route: key, Rollout: rollout, Event: canary.KindTick,
		Text: "because", Input: canary.Input{Event: canary.Tick{At: time.Unix(int64(seq), 0).UTC()}},
	}
}

func TestWhatWasSavedIsThereAfterAnotherOpen(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	_, ok, err := s.Load(key)
	require.NoError(t, err)
	require.False(t, ok, "nothing was saved yet")

	saved := checkpoint(2)
	require.NoError(t, s.Save(saved, []canary.Decision{decision(1, ""), decision(2, "v2-1")}))
	require.NoError(t, s.Close())

	s = openIn(t, dir)
	defer s.Close()
	got, ok, err := s.Load(key)
	require.NoError(t, err)
	require.True(t, ok)
	require.Empty(t, cmp.Diff(saved.State, got.State))
	require.Empty(t, cmp.Diff(saved.Traces, got.Traces))
	require.Equal(t, saved.Evidence, got.Evidence)
}

func TestDecisionsAreFiledByRolloutInOrder(t *testing.T) {
	s := openIn(t, t.TempDir())
	defer s.Close()
	begins := decision(2, "v2-1")
	begins.Begins = "v3-2"
	require.NoError(t, s.Save(checkpoint(1), []canary.Decision{decision(1, "v2-1"), begins, decision(3, "v3-2")}))
	require.NoError(t, s.Save(checkpoint(300), []canary.Decision{decision(4, ""), decision(300, "v3-2")}))

	seqs := func(rollout string) (n []uint64) {
		found, err := s.Decisions(key, rollout)
		require.NoError(t, err)
		for _, d := range found {
			n = append(n, d.Seq)
		}
		return n
	}
	require.Equal(t, []uint64{1, 2}, seqs("v2-1"))
	require.Equal(t, []uint64{2, 3, 300}, seqs("v3-2"), "the decision that begins a rollout is its first")
	require.Equal(t, []uint64{1, 2, 3, 4, 300}, seqs(""))
	require.Empty(t, seqs("v9-9"))

	found, err := s.Decisions(key, "v2-1")
	require.NoError(t, err)
	require.Equal(t, decision(1, "v2-1"), found[0])
}

func TestDecisionsBetweenRolloutsArePruned(t *testing.T) {
	s := openIn(t, t.TempDir())
	defer s.Close()
	var many []canary.Decision
	for seq := range uint64(filestore.KeptBetween + 5) {
		many = append(many, decision(seq+1, ""))
	}
	require.NoError(t, s.Save(checkpoint(1), many))
	require.NoError(t, s.Save(checkpoint(5000), []canary.Decision{decision(5000, "")}))
	found, err := s.Decisions(key, "")
	require.NoError(t, err)
	require.LessOrEqual(t, len(found), filestore.KeptBetween+1)
	require.EqualValues(t, 5000, found[len(found)-1].Seq, "the newest stay")
}

func TestDecisionsOfARolloutAreKeptUntilForgotten(t *testing.T) {
	s := openIn(t, t.TempDir())
	defer s.Close()
	none, err := s.Rollouts(key)
	require.NoError(t, err)
	require.Empty(t, none)
	require.NoError(t, s.Forget(key, "v1-1"), "there is nothing to forget")
	require.NoError(t, s.Save(checkpoint(4), []canary.Decision{
		decision(1, "v2-1"), decision(2, ""), decision(3, "v2-2"), decision(4, "v3-3"),
	}))
	ids, err := s.Rollouts(key)
	require.NoError(t, err)
	require.Equal(t, []string{"v2-1", "v2-2", "v3-3"}, ids)

	require.NoError(t, s.Forget(key, "v2-1", "v3-3", "v9-9", "-"))

	ids, err = s.Rollouts(key)
	require.NoError(t, err)
	require.Equal(t, []string{"v2-2"}, ids)
	left, err := s.Decisions(key, "")
	require.NoError(t, err)
	require.Len(t, left, 2, "what was decided between rollouts stays")
	require.EqualValues(t, 2, left[0].Seq)
	_, ok, err := s.Load(key)
	require.NoError(t, err)
	require.True(t, ok, "the state stays")
}

func TestASecondRunIsToldWhoHoldsTheFile(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	defer s.Close()
	_, err := filestore.Open(filepath.Join(dir, "state.db"))
	require.ErrorIs(t, err, filestore.ErrHeld)
	require.ErrorContains(t, err, "state.db: another sluice run holds it")
}

func TestAForeignOrDamagedFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	cases := []struct {
		name string
		make func(path string)
		want error
		text string
	}{
		{"text", func(p string) { require.NoError(t, os.WriteFile(p, []byte("hello, this is no database"), 0o600)) }, filestore.ErrForeign, "is not a sluice state file"},
		{"noise", func(p string) { require.NoError(t, os.WriteFile(p, make([]byte, 1<<16), 0o600)) }, filestore.ErrForeign, "is not a sluice state file"},
		{"bolt of somebody else", func(p string) { writeBolt(t, p, "etcd", "", "") }, filestore.ErrForeign, `found bucket "etcd"`},
		{"a later format", func(p string) { writeBolt(t, p, "sluice", "format", "2") }, filestore.ErrFormat, `found "2", this version writes "1"`},
		{"a folder that is not there", func(string) {}, os.ErrNotExist, "no such file"},
		{"a folder in its place", func(p string) { require.NoError(t, os.Mkdir(p, 0o700)) }, syscall.EISDIR, "is a directory"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			if errors.Is(c.want, os.ErrNotExist) {
				path = filepath.Join(dir, "nowhere", "state.db")
			}
			c.make(path)
			_, err := filestore.Open(path)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, errors.Is(c.want, filestore.ErrForeign), errors.Is(err, filestore.ErrForeign), "only what is in the file says whose it is")
		})
	}
}

func TestADamagedPageIsAnErrorAndNoPanic(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	for i := range uint64(50) {
		require.NoError(t, s.Save(checkpoint(i+1), []canary.Decision{decision(i+1, "v2-1")}))
	}
	require.NoError(t, s.Close())
	path := filepath.Join(dir, "state.db")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 3 * os.Getpagesize(); i < len(data); i++ {
		data[i] = 0xff
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))

	s, err = filestore.Open(path)
	if err != nil {
		require.ErrorIs(t, err, filestore.ErrForeign)
		return
	}
	defer s.Close()
	_, _, err = s.Load(key)
	require.ErrorContains(t, err, "damaged page")
}

func TestAStateThatMakesNoSenseIsNamed(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	require.NoError(t, s.Save(checkpoint(1), nil))
	require.NoError(t, s.Close())
	path := filepath.Join(dir, "state.db")
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("routes")).Bucket([]byte("ml/filetype")).Put([]byte("state"), []byte("{"))
	}))
	require.NoError(t, db.Close())

	s = openIn(t, dir)
	defer s.Close()
	_, ok, err := s.Load(key)
	require.False(t, ok)
	require.ErrorContains(t, err, "state of ml/filetype")
}

func writeBolt(t *testing.T, path, bucket, name, value string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte(bucket))
		if err != nil || name == "" {
			return err
		}
		return b.Put([]byte(name), []byte(value))
	}))
	require.NoError(t, db.Close())
}

func BenchmarkSave(b *testing.B) {
	s, err := filestore.Open(filepath.Join(b.TempDir(), "state.db"))
	require.NoError(b, err)
	defer s.Close()
	seq := uint64(0)
	for b.Loop() {
		seq++
		require.NoError(b, s.Save(checkpoint(seq), []canary.Decision{decision(seq, "v2-1")}))
	}
}

package stage_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/stage"
)

func TestProcess(t *testing.T) {
	logs := t.TempDir()
	t.Run("a child that writes its address is heard, and ends when asked", func(t *testing.T) {
		file := filepath.Join(logs, "address")
		p, err := stage.Start(stage.Command{Name: "child", Path: "/bin/sh", Logs: logs, Args: []string{"-c", "echo here >" + file + "; exec sleep 60"}})
		require.NoError(t, err)
		text, err := p.ReadFile(t.Context(), file)
		require.NoError(t, err)
		require.Equal(t, "here", text)
		require.ErrorContains(t, p.Stop(time.Minute), "terminated")
	})
	t.Run("a child that ends early is reported with its log", func(t *testing.T) {
		p, err := stage.Start(stage.Command{Name: "early", Path: "/bin/sh", Logs: logs, Args: []string{"-c", "echo out of luck; exit 3"}})
		require.NoError(t, err)
		_, err = p.ReadFile(t.Context(), filepath.Join(logs, "never"))
		require.ErrorContains(t, err, "out of luck")
		require.ErrorContains(t, err, "exit status 3")
	})
}

func TestCorpus(t *testing.T) {
	samples, err := stage.Corpus(1, 500, 700)
	require.NoError(t, err)
	kinds := map[string]bool{}
	for _, s := range samples {
		require.NotEmpty(t, s.Content)
		kinds[filepath.Ext(s.Path)] = true
	}
	require.GreaterOrEqual(t, len(kinds), 10, "file kinds")
	again, err := stage.Corpus(1, 500, 700)
	require.NoError(t, err)
	require.Equal(t, len(samples), len(again))
	require.Equal(t, samples[0].Path, again[0].Path, "a seed fixes the choice")
	_, err = stage.Corpus(1, 1<<30, 10)
	require.ErrorContains(t, err, "need 1073741824")
}

func TestLoad(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-sluice", "v2@7")
		if r.Host != "filetype.ml" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var answers []stage.Answer
	load := stage.Load{URL: server.URL, Host: "filetype.ml", Rate: 2000, Bodies: [][]byte{[]byte("{}")}, Heard: func(a stage.Answer) {
		mu.Lock()
		defer mu.Unlock()
		if answers = append(answers, a); len(answers) == 200 {
			stop()
		}
	}}
	require.NoError(t, load.Run(ctx))
	require.GreaterOrEqual(t, len(answers), 200)
	for _, a := range answers {
		require.NoError(t, a.Err)
		require.Equal(t, http.StatusOK, a.Status)
		require.Equal(t, "v2", a.Version)
		require.Equal(t, uint64(7), a.Epoch)
		require.False(t, a.Failed())
	}
	require.Error(t, stage.Load{}.Run(t.Context()), "a load without a rate")
}

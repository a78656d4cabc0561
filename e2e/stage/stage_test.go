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

func TestRecord(t *testing.T) {
	var record stage.Record
	require.Zero(t, record.Answers().First())
	require.Zero(t, record.Answers().Quantile(0.5))
	began := time.Unix(1000, 0)
	for second, version := range map[int]string{3: "v2", 1: "v1", 2: "v2", 4: "v1"} {
		record.Add(stage.Answer{
			Scheduled: began.Add(time.Duration(second) * time.Second), Version: version,
			Status: 200 + 100*second, Latency: time.Duration(second) * time.Millisecond,
		})
	}
	answers := record.Answers()
	served := answers.Of("v2")
	require.Len(t, served, 2)
	require.Equal(t, began.Add(2*time.Second), served.First(), "by when they were due, not by when they were heard")
	require.Equal(t, began.Add(3*time.Second), served.Last())
	require.Len(t, answers.Failed(), 2, "statuses 500 and 600")
	require.Len(t, answers.Between(served.First(), served.Last()), 2)
	require.Equal(t, 4*time.Millisecond, answers.Quantile(0.99))
}

func TestPart(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := stage.Part("SLUICE_TEST_PART", "envoy/envoy")
	require.ErrorContains(t, err, ".cache/parts/envoy/envoy: is not there (run `make parts`)")
	t.Setenv("SLUICE_TEST_PART", "/bin/sh")
	path, err := stage.Part("SLUICE_TEST_PART", "envoy/envoy")
	require.NoError(t, err)
	require.Equal(t, "/bin/sh", path)
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
	require.Len(t, again, len(samples))
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

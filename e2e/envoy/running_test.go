package envoy

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// stream answers with a token at once and ends when it is told to.
func stream(end <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: token\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}
}

func TestAnAnswerThatRunsIsToldOnceAndItsEndOnceMore(t *testing.T) {
	s := NewStage(t)
	log := s.requests()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	end := make(chan struct{})
	cfg.Routes[0].Versions[0].Endpoints = []string{Server(t, stream(end))}
	s.Publish(cfg, splitOf(filetype, 3, config.Whole("v1")))
	s.Acked(filetype, 3)
	ask := func(ctx context.Context) io.ReadCloser {
		resp, err := http.DefaultClient.Do(s.Request("filetype.ml", "/v1/completions").WithContext(ctx))
		require.NoError(t, err)
		return resp.Body
	}
	body := ask(t.Context())
	running := log.next()
	require.True(t, running.Running, "while it runs")
	require.Positive(t, running.FirstByte)
	require.Equal(t, "v1", running.Version)
	require.Equal(t, uint64(3), running.Epoch)
	require.NotEmpty(t, running.Pod)
	close(end)
	_, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	ended := log.next()
	require.False(t, ended.Running)
	require.True(t, ended.Told)
	require.Equal(t, analysis.Succeeded, ended.Outcome)
	require.Equal(t, running.Start, ended.Start)
	require.Equal(t, running.FirstByte, ended.FirstByte)
}

func TestAClientThatLeavesAStreamSawItsFirstByte(t *testing.T) {
	s := NewStage(t)
	log := s.requests()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Versions[0].Endpoints = []string{Server(t, stream(nil))}
	s.Publish(cfg, splitOf(filetype, 3, config.Whole("v1")))
	s.Acked(filetype, 3)
	end := func() (left analysis.Request) {
		for left = log.next(); left.Running; left = log.next() { // told of once more on a busy machine
		}
		return left
	}
	ask := func(stays bool) analysis.Request {
		ctx, leave := context.WithTimeout(t.Context(), patience)
		resp, err := http.DefaultClient.Do(s.Request("filetype.ml", "/v1/completions").WithContext(ctx))
		require.NoError(t, err)
		if stays {
			require.True(t, log.next().Running)
		}
		leave()
		_ = resp.Body.Close()
		return end()
	}
	for name, stays := range map[string]bool{"before it was told of": false, "after that": true} {
		left := ask(stays)
		for range 5 { // a busy machine may tell of it before it is left
			if left.Told != stays {
				left = ask(stays)
			}
		}
		require.Equal(t, stays, left.Told, name)
		require.Equal(t, analysis.Abandoned, left.Outcome, name)
		require.Positive(t, left.FirstByte, name)
		require.LessOrEqual(t, left.FirstByte, left.Duration, name)
	}
}

// A server that accepts and never answers is told of while its clients wait, and so is
// the copy that is mirrored to it.
func TestAnAttemptThatWaitsIsToldAgainAndAgainWithItsAge(t *testing.T) {
	s := NewStage(t)
	log := s.requests()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	end := make(chan struct{})
	hangs := Server(t, func(http.ResponseWriter, *http.Request) { <-end })
	t.Cleanup(func() { close(end) })
	cfg.Routes[0].Versions[0].Endpoints, cfg.Routes[0].Versions[1].Endpoints = []string{hangs}, []string{hangs}
	cfg.Routes[0].Mirroring = config.MirroringAllowed
	s.Publish(cfg, map[config.Key]config.Split{filetype: {
		Epoch: 3, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: config.WholeSplit},
	}})
	s.Acked(filetype, 3)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var asking sync.WaitGroup
	asking.Go(func() {
		_, _ = http.DefaultClient.Do(s.Request("filetype.ml", "/infer").WithContext(ctx))
	})
	ages, told := map[string]time.Duration{}, map[string]int{}
	next := func() analysis.Request {
		r := log.next()
		require.Equal(t, r.Version == "v2", r.Shadow)
		require.NotEmpty(t, r.Pod)
		require.Greater(t, r.Duration, ages[r.Version], "later")
		ages[r.Version] = r.Duration
		told[r.Version]++
		return r
	}
	for told["v1"] < 2 || told["v2"] < 2 {
		require.True(t, next().Waits())
		require.Greater(t, ages["v1"]+ages["v2"], 900*time.Millisecond, "the first time after a second")
	}
	leave()
	asking.Wait()
	left := next()
	for left.Running {
		left = next()
	}
	require.Equal(t, "v1", left.Version, "its copy waits on")
	require.Equal(t, analysis.Abandoned, left.Outcome)
}

package passthrough_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/serving/server/passthrough"
)

// before puts a handler before a target and gives its address.
func before(t *testing.T, limit int64, target http.HandlerFunc) (string, *prometheus.Registry) {
	t.Helper()
	behind := httptest.NewServer(target)
	t.Cleanup(behind.Close)
	u, err := url.Parse(behind.URL)
	require.NoError(t, err)
	h, err := passthrough.New(passthrough.Config{Target: u, Limit: limit})
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	h.Register(registry)
	front := httptest.NewServer(h)
	t.Cleanup(front.Close)
	return front.URL, registry
}

func TestAStreamPassesTokenByToken(t *testing.T) {
	next, accepted := make(chan struct{}), make(chan struct{}, 1)
	front, registry := before(t, 8, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush() // headers at once, as such servers do
		accepted <- struct{}{}
		for i := range 3 {
			<-next
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	answers := make(chan *http.Response, 1)
	go func() {
		r, err := http.Post(front+"/v1/chat/completions", "application/json", strings.NewReader("{}"))
		assert.NoError(t, err)
		answers <- r
	}()
	await.Next(t, accepted, "the request")
	assert.Empty(t, answers, "headers wait for the first token")
	next <- struct{}{}
	r := await.Next(t, answers, "the answer")
	defer r.Body.Close()
	assert.Equal(t, "text/event-stream", r.Header.Get("Content-Type"))
	assert.Contains(t, r.Header.Get("Endpoint-Load-Metrics"), "application_utilization=0.1250,")
	body := bufio.NewReader(r.Body)
	for i := range 3 {
		line, err := body.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("data: %d\n", i), line)
		_, err = body.ReadString('\n')
		require.NoError(t, err)
		if i < 2 {
			next <- struct{}{} // the one before came before the next was made
		}
	}
	_, err := body.ReadByte()
	assert.ErrorIs(t, err, io.EOF)
	n, err := testutil.GatherAndCount(registry, "sluice_passthrough_first_byte_seconds")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

func TestMoreThanTheLimitIsRefused(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	front, _ := before(t, 1, func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-release })
	done := make(chan int, 1)
	go func() {
		r, err := http.Get(front + "/v1/models")
		assert.NoError(t, err)
		r.Body.Close()
		done <- r.StatusCode
	}()
	await.Next(t, entered, "the request")
	r, err := http.Get(front + "/v1/models")
	require.NoError(t, err)
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	require.NoError(t, err)
	assert.Equal(t, http.StatusTooManyRequests, r.StatusCode)
	assert.JSONEq(t, `{"error":{"message":"server is full: 1 requests are under way, 1 may be","code":429}}`, string(body))
	assert.Equal(t, "1", r.Header.Get("Retry-After"))
	close(release)
	assert.Equal(t, http.StatusOK, await.Next(t, done, "the answer"))
}

func TestATargetThatIsGone(t *testing.T) {
	u, err := url.Parse("http://127.0.0.1:1")
	require.NoError(t, err)
	h, err := passthrough.New(passthrough.Config{Target: u})
	require.NoError(t, err)
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/v1/models", nil))
	assert.Equal(t, http.StatusBadGateway, r.Code)
	assert.Contains(t, r.Body.String(), "127.0.0.1:1: ")
}

func TestACallerWhoLeavesEndsTheTargetsWork(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	front, _ := before(t, 1, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, front+"/v1/models", http.NoBody)
	require.NoError(t, err)
	ended := make(chan error)
	go func() { _, err := http.DefaultClient.Do(r); ended <- err }()
	await.Next(t, entered, "the request")
	leave()
	assert.ErrorIs(t, await.Next(t, ended, "the end of the request"), context.Canceled)
	await.Next(t, left, "the end of the work")
}

func TestATargetThatIsNone(t *testing.T) {
	_, err := passthrough.New(passthrough.Config{Target: &url.URL{Scheme: "ftp", Host: "x"}})
	assert.EqualError(t, err, `target: an http or https URL, found "ftp://x"`)
}

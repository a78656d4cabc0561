package api_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/await"
)

// eventStream opens the events of a server and reads them one by one.
func eventStream(t *testing.T, base string) (next func() string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/events", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	lines := bufio.NewReader(answer.Body)
	next = func() string {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				require.NotErrorIs(t, err, context.DeadlineExceeded, "nothing comes")
				return "end"
			}
			if line != "\n" {
				return line
			}
		}
	}
	return next, func() { cancel(); answer.Body.Close() }
}

func TestEventsTellAChangeAndEndWhenTheClientLeaves(t *testing.T) {
	f := &fleet{}
	f.replace(stepping())
	ended := make(chan struct{})
	handler := serverOf(f).Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	next, leave := eventStream(t, server.URL)

	require.Contains(t, next(), `"phase":"Stepping"`)
	f.replace(returned())
	changed := next()
	require.True(t, strings.HasPrefix(changed, "data: ["), changed)
	require.Contains(t, changed, `"outcome":"rolledBack"`)

	leave()
	await.Next(t, ended, "the end of the stream")
}

func TestEventsEndWithTheServersContext(t *testing.T) {
	f := &fleet{}
	f.replace(stepping())
	ctx, stop := context.WithCancel(t.Context())
	server := httptest.NewUnstartedServer(serverOf(f).Handler())
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	defer server.Close()
	next, leave := eventStream(t, server.URL)
	defer leave()

	require.Contains(t, next(), "data: ")
	stop()
	require.Equal(t, "end", next())
}

func TestEventsAreQuietWhileNothingChangesButForASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{}
		f.replace(stepping())
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		w := ask(serverOf(f), http.MethodGet, "/api/v1/events", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
		require.Equal(t, 1, strings.Count(w.Body.String(), "data: "))
		require.Equal(t, 2, strings.Count(w.Body.String(), ": nothing new\n\n"))
	})
}

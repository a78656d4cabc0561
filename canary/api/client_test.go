package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

// talk gives a client of a server that stops with the test.
func talk(t *testing.T, h http.Handler) *api.Client {
	t.Helper()
	server := httptest.NewServer(h)
	client := api.NewClient(server.URL + "/")
	t.Cleanup(server.Close)
	t.Cleanup(client.Close)
	return client
}

func TestAClientReadsWhatTheServerKnows(t *testing.T) {
	f := &fleet{decision: canary.Decision{Seq: 13, Text: "held by ann: lunch"}}
	f.replace(stepping(), gated())
	c := talk(t, serverOf(f).Handler())
	ctx := t.Context()

	list, err := c.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, stepping(), list[0], "a snapshot comes as it was")

	one, err := c.Get(ctx, filetype())
	require.NoError(t, err)
	require.Equal(t, stepping(), one)

	decisions, err := c.Decisions(ctx, filetype(), "v3-3-1")
	require.NoError(t, err)
	require.Len(t, decisions, 3)

	review, err := c.Review(ctx, filetype(), "")
	require.NoError(t, err)
	require.Equal(t, "v3-3-1", review.Rollout)

	proxies, err := c.Proxies(ctx)
	require.NoError(t, err)
	require.JSONEq(t, `["sluice-7f3a"]`, string(proxies))

	answer, err := c.Do(ctx, filetype(), "hold", api.Verb{Actor: "ann", Reason: "lunch"})
	require.NoError(t, err)
	require.Equal(t, "held by ann: lunch", answer.Text)
	require.Equal(t, uint64(13), answer.Decision.Seq)
}

func TestAClientTellsErrorsApart(t *testing.T) {
	f := &fleet{decision: canary.Decision{Refused: true, Text: "no rollout is running"}}
	f.replace(stepping())
	c := talk(t, serverOf(f).Handler())
	ctx := t.Context()

	_, err := c.Get(ctx, config.Key{Namespace: "ml", Name: "x"})
	require.ErrorIs(t, err, api.ErrNoRoute)
	require.EqualError(t, err, "there is no such inference route: ml/x is not one of: ml/filetype")

	_, err = c.Review(ctx, filetype(), "v9-9")
	require.ErrorIs(t, err, review.ErrNone)
	require.EqualError(t, err, `there is no such review: ml/filetype "v9-9"`)

	_, err = c.Do(ctx, filetype(), "abort", api.Verb{Actor: "ann", Reason: "lunch"})
	require.ErrorIs(t, err, api.ErrRefused)
	require.EqualError(t, err, "refused: no rollout is running")

	_, err = c.Do(ctx, filetype(), "abort", api.Verb{Actor: "ann"})
	require.EqualError(t, err, "reason: is missing; it goes into the review")
}

func TestAClientSaysWhenNoControlPlaneAnswers(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		_, err := api.NewClient(server.URL).List(t.Context())
		require.ErrorIs(t, err, api.ErrAway)
		require.ErrorContains(t, err, "no control plane is running at http://127.0.0.1:", "it says where")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
	t.Run("something else answers", func(t *testing.T) {
		_, err := talk(t, http.NotFoundHandler()).List(t.Context())
		require.EqualError(t, err, "control plane: answered 404 Not Found")
	})
	t.Run("the answer is no JSON", func(t *testing.T) {
		_, err := talk(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).List(t.Context())
		require.ErrorContains(t, err, "control plane: GET /routes: unexpected end of JSON input")
	})
	t.Run("the caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := talk(t, http.NotFoundHandler()).List(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestNamesCannotLeaveTheirPlaceInAnAddress(t *testing.T) {
	var asked []string
	c := talk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		http.NotFound(w, r)
	}))
	odd := config.Key{Namespace: "a/b", Name: "c?d#e"}
	_, _ = c.Get(t.Context(), odd)
	_, _ = c.Decisions(t.Context(), odd, "v1&tail=1 +")
	_, _ = c.Review(t.Context(), odd, "v1#2")
	_, _ = c.Do(t.Context(), odd, "../abort", api.Verb{})
	require.Equal(t, []string{
		"/api/v1/routes/a%2Fb/c%3Fd%23e?",
		"/api/v1/routes/a%2Fb/c%3Fd%23e/decisions?rollout=v1%26tail%3D1+%2B",
		"/api/v1/routes/a%2Fb/c%3Fd%23e/review?rollout=v1%232",
		"/api/v1/routes/a%2Fb/c%3Fd%23e/verbs/..%2Fabort?",
	}, asked)
}

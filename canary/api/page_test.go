package api_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePageStandsAlone(t *testing.T) {
	s := serverOf(&fleet{})
	w := ask(s, http.MethodGet, "/", "")
	require.Equal(t, 200, w.Code)
	text := w.Body.String()

	t.Run("it asks for nothing from elsewhere", func(t *testing.T) {
		for _, outside := range []string{"http:", "https:", "//cdn", "@import", "url("} {
			require.NotContains(t, text, outside)
		}
	})
	t.Run("what the server sends is never parsed as markup", func(t *testing.T) {
		for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "javascript:"} {
			require.NotContains(t, text, sink)
		}
	})
	t.Run("only what carries this answer's nonce runs", func(t *testing.T) {
		policy := w.Header().Get("Content-Security-Policy")
		nonce := regexp.MustCompile(`script-src 'nonce-(\w{26})'`).FindStringSubmatch(policy)
		require.Len(t, nonce, 2, policy)
		require.Contains(t, text, `<script nonce="`+nonce[1]+`">`)
		require.Contains(t, text, `<style nonce="`+nonce[1]+`">`)
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, text, "{{")
		require.NotRegexp(t, `\son\w+="`, text, "no handler stands in an attribute")
		require.NotEqual(t, policy, ask(s, http.MethodGet, "/", "").Header().Get("Content-Security-Policy"), "the next answer has another one")
	})
	t.Run("nobody keeps or frames it", func(t *testing.T) {
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	})
}

func TestTheReviewsPageRunsNothing(t *testing.T) {
	f := &fleet{}
	f.replace(stepping())
	w := ask(serverOf(f), http.MethodGet, "/api/v1/routes/ml/filetype/review", "", html)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, w.Header().Get("Content-Security-Policy"), "script-src")
}

func TestThePageShowsWhoLeftBeforeTheAnswer(t *testing.T) {
	page := ask(serverOf(&fleet{}), http.MethodGet, "/", "").Body.String()
	require.Contains(t, page, `"errors", "abandoned", "mirrored"]`)
	require.Contains(t, page, "e.abandoned")
}

package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Tokens are the bearer tokens that callers may show. The zero Tokens ask for
// none.
type Tokens struct{ hashes [][sha256.Size]byte }

// NewTokens keeps the hashes of tokens only.
func NewTokens(tokens ...string) Tokens {
	var t Tokens
	for _, token := range tokens {
		t.hashes = append(t.hashes, sha256.Sum256([]byte(token)))
	}
	return t
}

// allow says whether an Authorization header's value shows one of the tokens.
func (t Tokens) allow(authorization string) bool {
	if len(t.hashes) == 0 {
		return true
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return false
	}
	shown, found := sha256.Sum256([]byte(token)), 0
	for _, h := range t.hashes {
		found |= subtle.ConstantTimeCompare(h[:], shown[:])
	}
	return found == 1
}

// errUnauthorized is what callers without a token are told.
func errUnauthorized() *httpError {
	return failure(http.StatusUnauthorized, "header Authorization: shows none of this server's bearer tokens")
}

// authorized asks for a token on every path but health, which kubelets and
// proxies look at.
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v2/health/") && !s.config.Tokens.allow(r.Header.Get("Authorization")) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, errUnauthorized())
			return
		}
		next.ServeHTTP(w, r)
	})
}

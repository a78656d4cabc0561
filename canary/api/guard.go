package api

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
)

// local refuses what a browser was talked into by a page from elsewhere: names
// that are not this host's (DNS rebinding), and writes that are not our own
// JSON (forms need no permission, JSON does, lines of it too, and nobody is given it). No answer
// is kept, framed or guessed at.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		switch {
		case !hostIsOurs(r.Host):
			refuse(w, http.StatusForbidden, problem{Error: fmt.Sprintf("host %q: is not an address or localhost", r.Host)})
		case writes(r.Method) && !isOneOf(media(r.URL.Path), r.Header.Get("Content-Type")):
			refuse(w, http.StatusUnsupportedMediaType, problem{
				Error: fmt.Sprintf("content-type: is not %s, found %q", strings.Join(media(r.URL.Path), " or "), r.Header.Get("Content-Type")),
			})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hostIsOurs says whether the client named an address or localhost, which no
// foreign name server can point elsewhere.
func hostIsOurs(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.EqualFold(host, "localhost") || net.ParseIP(strings.Trim(host, "[]")) != nil
}

func writes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// media are the types of what may be written to a path.
func media(path string) []string {
	if strings.HasSuffix(path, "/outcomes") {
		return []string{"application/json", "application/x-ndjson"}
	}
	return []string{"application/json"}
}

func isOneOf(media []string, contentType string) bool {
	found, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(media, found)
}

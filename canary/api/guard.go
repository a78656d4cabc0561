package api

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
)

// local refuses what a browser was talked into by a page from elsewhere: names
// that are not this host's (DNS rebinding), and writes that are not our own
// JSON (forms need no permission, JSON does, and nobody is given it). No answer
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
		case writes(r.Method) && !isJSON(r.Header.Get("Content-Type")):
			refuse(w, http.StatusUnsupportedMediaType, problem{
				Error: fmt.Sprintf("content-type: is not application/json, found %q", r.Header.Get("Content-Type")),
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

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "application/x-ndjson")
}

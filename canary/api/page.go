package api

import (
	"crypto/rand"
	_ "embed" // the page is part of the binary
	"fmt"
	"net/http"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// page is the live page: one document that asks for nothing from elsewhere. It
// holds no data; its script reads the events and writes them as text.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	page := strings.NewReplacer("{{nonce}}", nonce, "{{style}}", pageStyle, "{{script}}", pageScript).Replace(pageText)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "+
		"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", nonce, nonce))
	s.write(w, []byte(page))
}

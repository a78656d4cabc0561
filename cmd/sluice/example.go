package main

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// example is a shell line that sends one request to an inference route: the first
// hostname, and what the first of its matches asks for. What a regular expression
// asks for is left to the reader.
func example(r config.RouteSpec) string {
	var m config.Match
	if len(r.Matches) > 0 {
		m = r.Matches[0]
	}
	if r.Protocol == config.ProtocolGRPC {
		return grpcExample(r, m)
	}
	words := []string{"curl"}
	if m.Method != "" && m.Method != http.MethodGet {
		words = append(words, "-X", m.Method)
	}
	if len(r.Hostnames) > 0 {
		words = append(words, "-H", quote("Host: "+r.Hostnames[0]))
	}
	words = append(words, headersOf(m)...)
	if m.Model != "" {
		words = append(words, "-H", quote("Content-Type: application/json"), "-d", quote(modelBody(m.Model)))
	}
	return strings.Join(append(words, quoteIfNeeded("http://"+reach(r.Listener)+pathOf(m))), " ")
}

// modelBody is a body of OpenAI's protocol that asks a model something.
func modelBody(model string) string {
	return `{"model": ` + strconv.Quote(model) + `, "messages": [{"role": "user", "content": "hello"}]}`
}

// grpcExample lists a service's methods, or calls the one that is matched.
func grpcExample(r config.RouteSpec, m config.Match) string {
	words := []string{"grpcurl", "-plaintext"}
	if len(r.Hostnames) > 0 {
		words = append(words, "-authority", r.Hostnames[0])
	}
	words = append(append(words, headersOf(m)...), reach(r.Listener))
	if method := strings.Trim(pathOf(m), "/"); strings.Contains(method, "/") {
		return strings.Join(append(words, quoteIfNeeded(method)), " ")
	} else if method != "" {
		return strings.Join(append(words, "list", quoteIfNeeded(method)), " ")
	}
	return strings.Join(append(words, "list"), " ")
}

func headersOf(m config.Match) (words []string) {
	for _, h := range m.Headers {
		value := h.Value
		if h.Type == config.HeaderExpression {
			value = "…" + value + "…"
		}
		words = append(words, "-H", quote(h.Name+": "+value))
	}
	return words
}

func pathOf(m config.Match) string {
	switch m = m.ByPath(); {
	case m.Path == nil && m.Model != "":
		return "/v1/chat/completions"
	case m.Path == nil:
		return "/"
	case m.Path.Type == config.PathExpression:
		return "/…" + m.Path.Value + "…"
	}
	return m.Path.Value
}

// reach is where a client on this machine finds a listener.
func reach(l config.Listener) string {
	address, err := netip.ParseAddr(l.Address)
	if err != nil || !address.IsUnspecified() {
		return l.String()
	}
	l.Address = "127.0.0.1"
	if address.Is6() {
		l.Address = "::1"
	}
	return l.String()
}

// quote makes one word of a text for a POSIX shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func quoteIfNeeded(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:%+@") == "" {
		return text
	}
	return quote(text)
}

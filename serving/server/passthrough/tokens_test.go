package passthrough_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnAnswerSaysHowManyTokensItHas(t *testing.T) {
	delta := func(s string) string { return `data: {"choices":[{"delta":` + s + `}]}` + "\n\n" }
	const role, done = `{"role":"assistant","content":""}`, "data: [DONE]\n\n"
	for _, tt := range []struct {
		name, kind, body string
		trailer, header  string
	}{
		{"a stream of a chat", "text/event-stream", delta(role) + delta(`{"content":"a"}`) + delta(`{"content":"b"}`) + done, "2", ""},
		{"one that thinks and calls tools", "text/event-stream; charset=utf-8", delta(`{"reasoning_content":"a"}`) + delta(`{"tool_calls":[{"index":0}]}`) + delta(`{"tool_calls":[]}`), "2", ""},
		{"one of completions", "text/event-stream", "data: {\"choices\":[{\"text\":\"a\"}]}\r\n\r\n" + "data:{\"choices\":[{\"text\":\"b\"},{\"text\":\"c\"}]}", "3", ""},
		{
			"one whose server says how many", "text/event-stream",
			delta(`{"content":"a and b"}`) + `data: {"choices":[],"usage":{"completion_tokens":17}}` + "\n\n" + done, "17", "",
		},
		{"one with null usage", "text/event-stream", `data: {"choices":[{"text":"a"}],"usage":null}` + "\n\n", "1", ""},
		{"one with an event too long to keep", "text/event-stream", delta(`{"content":"`+strings.Repeat("x", 70_000)+`"}`) + delta(`{"content":"b"}`), "1", ""},
		{"one of something else", "text/event-stream", "event: ping\ndata: 1\n\n: comment\n\n", "", ""},
		{"an answer that comes whole", "application/json", `{"choices":[{"message":{"content":"a"}}],"usage":{"completion_tokens":5}}`, "", "5"},
		{"one without usage", "application/json", `{"data":[]}`, "", ""},
		{"one that is no JSON", "application/json", `{`, "", ""},
		{"another kind", "text/plain", delta(`{"content":"a"}`), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			front, _ := before(t, 8, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.kind)
				if strings.HasPrefix(tt.kind, "text/event-stream") {
					for part := range strings.SplitAfterSeq(tt.body, "content") { // chunks end anywhere
						_, _ = io.WriteString(w, part)
						w.(http.Flusher).Flush()
					}
					return
				}
				_, _ = io.WriteString(w, tt.body)
			})
			r, err := http.Post(front+"/v1/completions", "application/json", strings.NewReader("{}"))
			require.NoError(t, err)
			defer r.Body.Close()
			assert.Equal(t, tt.header, r.Header.Get("X-Sluice-Tokens"))
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			assert.Equal(t, tt.body, string(body), "not a byte is touched")
			assert.Equal(t, tt.trailer, r.Trailer.Get("X-Sluice-Tokens"))
		})
	}
}

func TestAServersOwnTrailersPassToo(t *testing.T) {
	front, _ := before(t, 8, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-Own")
		_, _ = io.WriteString(w, `data: {"choices":[{"text":"a"}]}`+"\n\n")
		w.Header().Set("X-Own", "yes")
	})
	r, err := http.Post(front+"/v1/completions", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	defer r.Body.Close()
	_, err = io.ReadAll(r.Body)
	require.NoError(t, err)
	assert.Equal(t, "yes", r.Trailer.Get("X-Own"))
	assert.Equal(t, "1", r.Trailer.Get("X-Sluice-Tokens"))
}

func TestAStreamThatBreaksOffSaysNothing(t *testing.T) {
	front, _ := before(t, 8, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"choices":[{"text":"a"}]}`+"\n\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	r, err := http.Post(front+"/v1/completions", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	defer r.Body.Close()
	_, err = io.ReadAll(r.Body)
	require.Error(t, err)
	assert.Empty(t, r.Trailer.Get("X-Sluice-Tokens"))
}

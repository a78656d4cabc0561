package passthrough

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
)

// headerTokens says how many tokens an answer has: among its trailers if it streams, or
// else among its headers.
const headerTokens = "X-Sluice-Tokens" //nolint:gosec // a count

const (
	// longestEvent bounds what is kept of an event of a stream; a longer one counts no
	// token.
	longestEvent = 64 << 10
	// longestAnswer bounds an answer that is read ahead to count its tokens.
	longestAnswer = 1 << 20
)

// countTokens sees to it that an answer says how many tokens it has, and leaves its
// bytes as they are.
func countTokens(r *http.Response) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.StatusCode != http.StatusOK, r.Header.Get("Content-Encoding") != "", r.Header.Get(headerTokens) != "":
		return nil
	case kind == "text/event-stream":
		r.Body = &counted{ReadCloser: r.Body, answer: r}
	case kind == "application/json" && r.ContentLength > 0 && r.ContentLength <= longestAnswer:
		return countWhole(r)
	}
	return nil
}

// countWhole reads an answer that comes whole: its server has it all by now.
func countWhole(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = held{bytes.NewReader(body), r.Body}
	if n := chunkOf(body).Usage.CompletionTokens; n > 0 {
		r.Header.Set(headerTokens, strconv.FormatInt(n, 10))
	}
	return nil
}

// counted is the body of a stream whose tokens are counted as they pass.
type counted struct {
	io.ReadCloser

	answer *http.Response
	line   []byte
	long   bool  // the present line is longer than what is kept
	said   int64 // by the server, of all so far
	seen   int64 // events with a part of an answer
}

// Read passes bytes through, and sets the trailer with the last of them.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.count(p[:n])
	if errors.Is(err, io.EOF) {
		c.end()
	}
	return n, err
}

func (c *counted) count(p []byte) {
	for {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if c.long = c.long || len(c.line)+len(line) > longestEvent; !c.long {
			c.line = append(c.line, line...)
		}
		if !whole {
			return
		}
		if !c.long {
			c.event(c.line)
		}
		c.line, c.long, p = c.line[:0], false, rest
	}
}

// event reads a line of a stream.
func (c *counted) event(line []byte) {
	data, is := bytes.CutPrefix(line, []byte("data:"))
	if !is {
		return
	}
	part := chunkOf(data)
	c.said = max(c.said, part.Usage.CompletionTokens)
	for _, choice := range part.Choices {
		if choice.says() {
			c.seen++
		}
	}
}

// end says how many tokens there were: by the server's word, or else one an event.
func (c *counted) end() {
	c.event(c.line)
	c.line = nil
	n := c.said
	if n == 0 {
		n = c.seen
	}
	if n == 0 {
		return
	}
	if c.answer.Trailer == nil {
		c.answer.Trailer = http.Header{}
	}
	c.answer.Trailer.Set(headerTokens, strconv.FormatInt(n, 10))
}

// chunk is what is read of an answer, or of an event of a stream.
type chunk struct {
	Choices []choice `json:"choices"`
	Usage   usage    `json:"usage"`
}

type usage struct {
	CompletionTokens int64 `json:"completion_tokens"`
}

type choice struct {
	Text  string `json:"text"` // of completions
	Delta delta  `json:"delta"`
}

// delta is a part of a chat's answer, whatever it is a part of.
type delta struct {
	Content          string          `json:"content"`
	Reasoning        string          `json:"reasoning"`
	ReasoningContent string          `json:"reasoning_content"`
	Refusal          string          `json:"refusal"`
	ToolCalls        json.RawMessage `json:"tool_calls"`
}

// says tells a part of an answer from what is said about it, as that a role begins.
func (c choice) says() bool {
	d := c.Delta
	tools := len(d.ToolCalls) > 0 && string(d.ToolCalls) != "null" && string(d.ToolCalls) != "[]"
	return c.Text != "" || d.Content != "" || d.Reasoning != "" || d.ReasoningContent != "" || d.Refusal != "" || tools
}

// chunkOf reads one; what is none says nothing.
func chunkOf(b []byte) (c chunk) {
	if json.Unmarshal(b, &c) != nil {
		return chunk{}
	}
	return c
}

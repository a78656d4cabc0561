package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model answers a line by itself, and misbehaves by what is written in it.
type model struct {
	mu     sync.Mutex
	dead   bool
	asked  int
	before func(asked int)
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	m.asked++
	m.before(m.asked)
	dead, again := m.dead, m.asked%3 > 0
	m.mu.Unlock()
	switch text := string(body); {
	case r.Context().Err() != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
	case dead, text == "poison", text == "shaky" && again:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"error":"%s"}`, text)
	case text == "hasty":
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error":"hasty"}`)
	case text == "bad":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"bad"}`)
	default:
		fmt.Fprintf(w, `{"model_name":"m","is":%q}`, text)
	}
}

func windowOn(m *model) *window {
	return &window{
		handler: m, path: "/", probe: probe{body: []byte("sample")}, answers: make(chan chan []byte, 8),
		log: slog.New(slog.DiscardHandler), pause: time.Microsecond,
	}
}

func TestWhateverTheMomentOfTheEndEachLineHasItsOwnAnswerOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]string{"good", "good", "bad", "poison", "hasty", "shaky"}), 1, 60).Draw(t, "lines")
		var lines []string
		var want []string
		for i, kind := range kinds {
			switch kind {
			case "good":
				lines = append(lines, fmt.Sprint("line ", i))
				want = append(want, fmt.Sprintf(`{"model_name":"m","is":"line %d"}`, i))
			case "shaky": // which of its answers comes is open
				lines, want = append(lines, kind), append(want, "")
			default:
				lines, want = append(lines, kind), append(want, fmt.Sprintf(`{"error":"%s"}`, kind))
			}
		}
		var out bytes.Buffer
		for run := 0; ; run++ {
			ctx, cancel := context.WithCancel(context.Background())
			end := rapid.IntRange(1, 90).Draw(t, "end")
			m := &model{before: func(asked int) {
				if asked == end && run < 20 {
					cancel()
				}
			}}
			rest := strings.Join(lines[strings.Count(out.String(), "\n"):], "\n")
			err := windowOn(m).pass(ctx, bufio.NewReader(strings.NewReader(rest)), &out)
			cancel()
			done := strings.Count(out.String(), "\n")
			if err == nil {
				require.Equal(t, len(lines), done, "no error: no line is left")
				break
			}
			require.ErrorIs(t, err, errInterrupted)
		}
		for i, got := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if want[i] != "" {
				require.Equal(t, want[i], got)
			}
		}
	})
}

func TestAModelThatAnswersNothingEndsTheRun(t *testing.T) {
	m := &model{}
	m.before = func(asked int) { m.dead = asked > 20 }
	input := strings.Repeat("line\n", 100)
	var out bytes.Buffer
	w := windowOn(m)
	err := w.pass(t.Context(), bufio.NewReader(strings.NewReader(input)), &out)
	require.EqualError(t, err, `the model answers nothing: status 500: {"error":"line"}`)
	assert.Equal(t, w.written, strings.Count(out.String(), `"is":"line"`))
	assert.NotContains(t, out.String(), "error", "its failures are no line's answer")
}

func TestAnInputThatSaysNothingDoesNotHoldTheEndUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, feed := io.Pipe()
	t.Cleanup(func() { _ = feed.Close() })
	m := &model{before: func(int) { cancel() }}
	go func() { _, _ = io.WriteString(feed, "one\n") }()
	err := windowOn(m).pass(ctx, bufio.NewReader(in), io.Discard)
	assert.ErrorIs(t, err, errInterrupted)
}

// full is a disk without space.
type full struct{}

var errFull = errors.New("no space")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestADiskThatIsFullEndsTheRun(t *testing.T) {
	m := &model{before: func(int) {}}
	err := windowOn(m).pass(t.Context(), bufio.NewReader(strings.NewReader(strings.Repeat("line\n", 1000))), full{})
	assert.ErrorIs(t, err, errFull)
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// errInterrupted is why a run ends that was told to.
var errInterrupted = errors.New("interrupted")

// window keeps some requests under way and writes their answers in order.
type window struct {
	handler http.Handler
	path    string
	probe   probe
	answers chan chan []byte // in the order of the lines
	log     *slog.Logger
	pause   time.Duration // before the model is tried again, doubled each time. Default 100 ms

	alone sync.RWMutex // held for writing by a line that is tried again

	written, failed int
	began, told     time.Time
}

// pass reads until the input ends, and writes every answer of what was read. It
// stops at the first line without one: what comes after would be another's.
func (w *window) pass(ctx context.Context, in *bufio.Reader, out io.Writer) error {
	w.began, w.told = time.Now(), time.Now()
	if w.pause == 0 {
		w.pause = 100 * time.Millisecond
	}
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	read := make(chan error, 1)
	go func() { read <- w.read(asking, stop, in) }()
	buffered := bufio.NewWriterSize(out, 1<<20)
	err := w.follow(asking, buffered)
	if err == nil {
		err = <-read
	}
	stop(err)
	if flushed := buffered.Flush(); flushed != nil {
		err = errors.Join(err, flushed)
	}
	w.log.Info("ends", "lines", w.written, "errors", w.failed, "seconds", time.Since(w.began).Seconds())
	return err
}

// follow writes answers until there are no more, or one is missing.
func (w *window) follow(ctx context.Context, out *bufio.Writer) error {
	for {
		var answer chan []byte
		var more bool
		select {
		case answer, more = <-w.answers:
		case <-ctx.Done(): // the input may be a pipe that says nothing
			return reason(ctx)
		}
		if !more {
			return nil
		}
		text := <-answer
		if text == nil {
			return reason(ctx)
		}
		if err := w.write(out, text); err != nil {
			return err
		}
	}
}

// reason is why a context ended.
func reason(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errInterrupted
}

// read starts a request for each line.
func (w *window) read(ctx context.Context, stop context.CancelCauseFunc, in *bufio.Reader) error {
	defer close(w.answers)
	for {
		text, err := line(in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("--input: %w", err)
		}
		answer := make(chan []byte, 1)
		select {
		case w.answers <- answer:
		case <-ctx.Done():
			return reason(ctx)
		}
		go func() {
			text, err := w.ask(ctx, text)
			if err != nil {
				stop(err)
			}
			answer <- text
		}()
	}
}

// ask gives the answer's body; nil if there is none because ctx ended, or the
// model fails whatever it is asked.
func (w *window) ask(ctx context.Context, body []byte) ([]byte, error) {
	w.alone.RLock()
	a := w.once(ctx, body, 0)
	w.alone.RUnlock()
	if ctx.Err() == nil && a.excused() {
		return w.insist(ctx, body)
	}
	return a.line(ctx), nil
}

// tries is how often the model may fail before a run is given up: for 3 s, with
// the pauses doubled.
const tries = 6

// insist asks with no other line beside this one, which may have been what failed
// it, or in its way. What fails twice while the model answers a sample is the
// line's own fault.
func (w *window) insist(ctx context.Context, body []byte) ([]byte, error) {
	w.alone.Lock()
	defer w.alone.Unlock()
	var a *kept
	pause, refused := w.pause, false
	for range tries {
		a = w.once(ctx, body, 0)
		if ctx.Err() != nil || !a.excused() {
			return a.line(ctx), nil
		}
		if sample := w.once(ctx, w.probe.body, w.probe.header); sample.status == http.StatusOK {
			if refused {
				return a.line(ctx), nil
			}
			refused = true
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil
		}
		pause *= 2
	}
	return nil, fmt.Errorf("the model answers nothing: status %d: %s", a.status, bytes.TrimSpace(a.body.Bytes()))
}

// once posts a body; with a header's length if raw tensors follow it.
func (w *window) once(ctx context.Context, body []byte, header int) *kept {
	a := &kept{header: http.Header{}, status: http.StatusOK}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.path, bytes.NewReader(body))
	if err != nil {
		a.status = http.StatusBadRequest
		a.body.Write(errorLine(err))
		return a
	}
	if header > 0 {
		r.Header.Set("Inference-Header-Content-Length", strconv.Itoa(header))
	}
	w.handler.ServeHTTP(a, r)
	return a
}

func errorLine(err error) []byte {
	text, _ := json.Marshal(map[string]string{"error": err.Error()}) //nolint:errchkjson // strings have a form
	return text
}

func (w *window) write(out *bufio.Writer, text []byte) error {
	if bytes.HasPrefix(text, []byte(`{"error":`)) {
		w.failed++
	}
	w.written++
	if time.Since(w.told) > 10*time.Second {
		w.told = time.Now()
		w.log.Info("goes on", "lines", w.written, "errors", w.failed, "per_second", float64(w.written)/time.Since(w.began).Seconds())
	}
	_, err := out.Write(append(text, '\n'))
	if err == nil && len(w.answers) == 0 { // nothing more is ready: a crash would lose it
		err = out.Flush()
	}
	return err
}

// kept is a response in memory.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }

// excused says whether the answer may be no fault of the line.
func (k *kept) excused() bool {
	return k.status == http.StatusTooManyRequests || k.status >= http.StatusInternalServerError
}

// line is the answer as the output has it; nil once ctx ended, for then it may
// say nothing but that.
func (k *kept) line(ctx context.Context) []byte {
	switch {
	case ctx.Err() != nil:
		return nil
	case k.header.Get("Content-Type") == "application/octet-stream":
		return errorLine(errors.New("parameters.binary_data_output: raw tensors cannot stand in a line"))
	}
	return bytes.TrimRight(k.body.Bytes(), "\n")
}

// probe is a request that the model answered when it was warmed up.
type probe struct {
	body   []byte
	header int // the length of its JSON part
}

func newProbe(sample []serving.Tensor) probe {
	type size struct {
		Bytes int `json:"binary_data_size"` //nolint:tagliatelle // the protocol's name
	}
	type input struct {
		Name       string           `json:"name"`
		Datatype   serving.Datatype `json:"datatype"`
		Shape      serving.Shape    `json:"shape"`
		Parameters size             `json:"parameters"`
	}
	var inputs []input
	var raw []byte
	for _, t := range sample {
		inputs = append(inputs, input{t.Name, t.Datatype, t.Shape, size{len(t.Data)}})
		raw = append(raw, t.Data...)
	}
	text, _ := json.Marshal(map[string]any{ //nolint:errchkjson // strings and numbers have a form
		"inputs": inputs, "parameters": map[string]bool{"binary_data_output": true},
	})
	return probe{append(text, raw...), len(text)}
}

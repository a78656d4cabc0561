package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// headerLength is the length of the JSON part of a body that carries raw
// tensors behind it (the protocol's binary tensor extension).
const headerLength = "Inference-Header-Content-Length"

// envoyTimeout is what Envoy tells upstreams of its own time-out.
const envoyTimeout = "X-Envoy-Expected-Rq-Timeout-Ms"

// infer answers one inference request.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	if !s.ready.Load() {
		writeError(w, s.unready())
		return
	}
	request, err := s.read(w, r)
	if err != nil {
		writeError(w, err)
		return
	}
	bound, err := s.bind(request)
	if err != nil {
		writeError(w, err)
		return
	}
	deadline, err := deadlineOf(arrived, r.Header, request.timeout)
	if err != nil {
		writeError(w, err)
		return
	}
	outputs, err := s.engine.infer(r.Context(), bound, deadline)
	if err != nil {
		writeError(w, err)
		return
	}
	s.respond(w, request, outputs)
}

// bind checks what was asked against what the model takes and gives.
func (s *Server) bind(r *request) (serving.Bound, error) {
	bound, err := s.signature.Bind(r.tensors)
	if err != nil {
		return bound, err
	}
	for _, w := range r.outputs {
		if !slices.ContainsFunc(s.signature.Outputs, func(o serving.Spec) bool { return o.Name == w.name }) {
			return bound, fmt.Errorf("output %q: the model has no such output", w.name)
		}
	}
	return bound, nil
}

// read takes the body apart.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, fmt.Errorf("header Content-Encoding: %q is not supported, only identity is", e)
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, s.config.MaxBody), min(r.ContentLength, s.config.MaxBody))
	if err != nil {
		return nil, bodyError(err)
	}
	header, raw := body, []byte(nil)
	if text := r.Header.Get(headerLength); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > len(body) {
			return nil, fmt.Errorf("header %s: a length between 0 and the body's %d, found %q", headerLength, len(body), text)
		}
		header, raw = body[:n], body[n:]
	}
	return decode(header, raw)
}

func readAll(body io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if size > 0 {
		b.Grow(int(size) + bytes.MinRead) // one allocation for a body of known length
	}
	_, err := b.ReadFrom(body)
	return b.Bytes(), err
}

func bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure(http.StatusRequestEntityTooLarge, "body: more than %d bytes", tooLarge.Limit)
	}
	return fmt.Errorf("body: %w", err)
}

// deadlineOf is the earliest of what Envoy and the request itself ask for; zero
// if neither does.
func deadlineOf(arrived time.Time, h http.Header, timeout time.Duration) (time.Time, error) {
	if text := h.Get(envoyTimeout); text != "" {
		ms, err := strconv.ParseInt(text, 10, 32)
		if err != nil || ms < 0 {
			return time.Time{}, fmt.Errorf("header %s: milliseconds, found %q", envoyTimeout, text)
		}
		if d := time.Duration(ms) * time.Millisecond; d > 0 && (timeout == 0 || d < timeout) {
			timeout = d
		}
	}
	if timeout == 0 {
		return time.Time{}, nil
	}
	return arrived.Add(timeout), nil
}

// respond writes the outputs the request asked for, all of them if it named none.
func (s *Server) respond(w http.ResponseWriter, r *request, outputs []serving.Tensor) {
	body, jsonLength, err := encode(s.config.Model, s.config.Version, r, outputs)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if jsonLength < len(body) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set(headerLength, strconv.Itoa(jsonLength))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client left: nobody to tell
}

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/server/orca"
)

// headerLength is the length of the JSON part of a body that carries raw
// tensors behind it (the protocol's binary tensor extension).
const headerLength = "Inference-Header-Content-Length"

// envoyTimeout is what Envoy tells upstreams of its own time-out.
const envoyTimeout = "X-Envoy-Expected-Rq-Timeout-Ms"

// priorityHeader is a request's priority where it is known before the body is
// read: a level as the protocol's parameter, which prevails where both are given.
const priorityHeader = "X-Sluice-Priority"

// infer answers one inference request. One that would be refused whatever its
// body says is refused before the body is read.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	a, err := askedBy(arrived, r.Header) //nolint:contextcheck // a carrier is read into a context that is left at once
	if err == nil {
		err = s.admissible(a)
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	asking := time.Now()
	body, err := s.receive(w, r)
	received := time.Since(asking)
	if err != nil {
		s.refuse(w, err)
		return
	}
	request, err := parse(r.Header, body)
	if err != nil {
		s.refuse(w, err)
		return
	}
	out, err := s.answer(r.Context(), arrived, request, a)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.respond(w, request, out)
	s.engine.metrics().left(arrived.Add(received), out)
}

// refuse writes an error with the load, which is what caused it or nearly so.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	s.attachLoad(w.Header())
	writeError(w, err)
}

func (s *Server) attachLoad(h http.Header) {
	if r := s.engine.report.Load(); s.config.LoadReports && r != nil {
		h.Set(orca.Header, r.text)
	}
}

// admissible says whether a request's body is worth reading.
func (s *Server) admissible(a asked) error {
	if !s.ready.Load() {
		return s.unready()
	}
	return s.engine.foresee(a)
}

// answer runs a request whose body was read.
func (s *Server) answer(ctx context.Context, arrived time.Time, r *request, a asked) (outcome, error) {
	if r.model != "" {
		if err := s.find(r.model, ""); err != nil {
			return outcome{}, err
		}
	}
	bound, err := s.bind(r)
	if err != nil {
		return outcome{}, err
	}
	if r.prioritized {
		a.priority = r.priority
	}
	a.deadline = sooner(a.deadline, arrived, r.timeout)
	if now := time.Now(); !a.deadline.IsZero() && now.After(a.deadline) {
		return outcome{}, failure(http.StatusGatewayTimeout, "deadline passed while the request was read: %v ago", now.Sub(a.deadline))
	}
	return s.engine.infer(ctx, bound, a)
}

// bind checks what was asked against what the model takes and gives.
func (s *Server) bind(r *request) (serving.Bound, error) {
	signature := s.engine.backend.Load().signature
	bound, err := signature.Bind(r.tensors)
	if err != nil {
		return bound, err
	}
	for _, w := range r.outputs {
		if !slices.ContainsFunc(signature.Outputs, func(o serving.Spec) bool { return o.Name == w.name }) {
			return bound, fmt.Errorf("output %q: the model has no such output", w.name)
		}
	}
	return bound, nil
}

// receive waits for the whole body.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, fmt.Errorf("header Content-Encoding: %q is not supported, only identity is", e)
	}
	if r.ContentLength > s.config.MaxBody {
		return nil, bodyError(&http.MaxBytesError{Limit: s.config.MaxBody})
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, s.config.MaxBody), min(r.ContentLength, s.config.MaxBody))
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// parse takes a body apart.
func parse(h http.Header, body []byte) (*request, error) {
	header, raw := body, []byte(nil)
	if text := h.Get(headerLength); text != "" {
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

// askedBy reads what a request's headers ask for.
func askedBy(arrived time.Time, h http.Header) (asked, error) {
	timeout, err := timeoutOf(h.Get(envoyTimeout))
	priority, unclear := priorityOf(h.Get(priorityHeader))
	a := asked{deadline: sooner(time.Time{}, arrived, timeout), priority: priority}
	if h.Get("Traceparent") != "" {
		a.trace = traceOf(propagation.HeaderCarrier(h))
	}
	return a, errors.Join(err, unclear)
}

// priorityOf reads the header with a priority; without one it is Normal.
func priorityOf(text string) (serving.Priority, error) {
	if text == "" {
		return serving.Normal, nil
	}
	level, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		var p serving.Priority
		if p, err = priorityAt(level); err == nil {
			return p, nil
		}
	}
	return serving.Normal, fmt.Errorf("header %s: a level from 1 (urgent) to 3 (patient), found %q", priorityHeader, text)
}

// timeoutOf reads Envoy's time-out; 0 is none.
func timeoutOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	ms, err := strconv.ParseInt(text, 10, 32)
	if err != nil || ms < 0 {
		return 0, fmt.Errorf("header %s: milliseconds, found %q", envoyTimeout, text)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// sooner is the earlier of a deadline (zero: none) and a time-out (0: none).
func sooner(deadline, arrived time.Time, timeout time.Duration) time.Time {
	if timeout == 0 {
		return deadline
	}
	if other := arrived.Add(timeout); deadline.IsZero() || other.Before(deadline) {
		return other
	}
	return deadline
}

// respond writes the outputs the request asked for, all of them if it named none.
func (s *Server) respond(w http.ResponseWriter, r *request, out outcome) {
	body, jsonLength, err := encode(s.config.Model, out.version, r, out.outputs)
	if err != nil {
		s.refuse(w, err)
		return
	}
	h := w.Header()
	s.attachLoad(h)
	if s.config.Digests {
		h.Set(digestHeader, digest(out.outputs))
	}
	h.Set("Content-Type", "application/json")
	if jsonLength < len(body) {
		h.Set("Content-Type", "application/octet-stream")
		h.Set(headerLength, strconv.Itoa(jsonLength))
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client left: nobody to tell
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-dev/sluice/serving"
)

// Handler answers the protocol's paths, /metrics, and 404 elsewhere. Run serves
// it; tests may call it beside a running Run.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2", s.describeServer)
	mux.HandleFunc("GET /v2/{$}", s.describeServer)
	mux.HandleFunc("GET /v2/health/live", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET /v2/health/ready", s.readiness)
	for _, model := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		mux.Handle("GET "+model, s.named(s.describeModel))
		mux.Handle("GET "+model+"/ready", s.named(s.readiness))
		mux.Handle("GET "+model+"/sketch", s.named(s.describeOutputs))
		mux.Handle("POST "+model+"/infer", s.named(s.infer))
	}
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		promhttp.HandlerFor(s.shown.Load(), promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, failure(http.StatusNotFound, "path %q: not one of this protocol's, for %s", r.URL.Path, r.Method))
	})
	return s.closing(s.authorized(mux))
}

// closing asks clients to let go of their connections during a drain.
func (s *Server) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// named lets requests for this model and version through.
func (s *Server) named(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.find(r.PathValue("model"), r.PathValue("version")); err != nil {
			writeError(w, err)
			return
		}
		next(w, r)
	})
}

// find says whether a model and version (empty: any) is what is served.
func (s *Server) find(model, version string) error {
	own := s.engine.backend.Load().version
	switch {
	case model != s.config.Model:
		return failure(http.StatusNotFound, "model %q: not found, this server has %q", model, s.config.Model)
	case version != "" && version != own:
		return failure(http.StatusNotFound, "model %q: version %q not found, this server has %q", model, version, own)
	}
	return nil
}

// readinessBody is the protocol's, of the server and of a model.
type readinessBody struct {
	Name  string `json:"name,omitempty"`
	Ready bool   `json:"ready"`
}

func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	if err := s.unready(); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, readinessBody{Name: r.PathValue("model"), Ready: true})
}

// unready is why traffic should go elsewhere, nil if it need not.
func (s *Server) unready() error {
	switch {
	case s.draining.Load():
		return failure(http.StatusServiceUnavailable, "%v", errStopping)
	case !s.ready.Load():
		return failure(http.StatusServiceUnavailable, "model %q: warming up", s.config.Model)
	case s.engine.away.Load():
		return failure(http.StatusServiceUnavailable, "model %q: %v", s.config.Model, serving.ErrUnavailable)
	}
	return nil
}

// httpError is an answer other than 200.
type httpError struct {
	status int
	text   string
	retry  time.Duration // Retry-After, if positive
}

func (e *httpError) Error() string { return e.text }

func failure(status int, format string, args ...any) *httpError {
	return &httpError{status: status, text: fmt.Sprintf(format, args...)}
}

// dropError is what a request is told that was dropped from the queue.
func dropError(reason serving.Reason) error {
	return failure(http.StatusGatewayTimeout, "deadline can no longer be met: %s while waiting", reason)
}

// statusOf turns any error of a request into an answer.
func statusOf(err error) *httpError {
	var known *httpError
	var refusal *serving.Refusal
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refusal):
		return &httpError{status: http.StatusTooManyRequests, text: err.Error(), retry: max(refusal.RetryAfter, 1)}
	case errors.As(err, &backendError{}) && errors.Is(err, serving.ErrUnavailable):
		return failure(http.StatusServiceUnavailable, "%v", err)
	case errors.As(err, &backendError{}) && errors.Is(err, context.DeadlineExceeded):
		return failure(http.StatusGatewayTimeout, "deadline passed in the model: %v", err)
	case errors.As(err, &backendError{}):
		return failure(http.StatusInternalServerError, "model: %v", err)
	case errors.Is(err, errStopping):
		return failure(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure(http.StatusServiceUnavailable, "request was cancelled") // nobody reads it
	}
	return failure(http.StatusBadRequest, "%v", err)
}

func writeError(w http.ResponseWriter, err error) {
	e := statusOf(err)
	if e.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retry.Seconds()))))
	}
	writeJSON(w, e.status, map[string]string{"error": e.text})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) //nolint:errchkjson // the client left: nobody to tell
}

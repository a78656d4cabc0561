// Package passthrough stands before a server whose protocol is none of ours, one
// that speaks OpenAI's: it admits requests, tells load balancers the load, and
// counts, and passes everything through as it is, streams token by token. It
// batches nothing, for such servers batch by themselves.
//
// Start reading at Handler.ServeHTTP.
//
// # Why headers wait for the first byte
//
// Such a server sends its headers when it has accepted a request, long before
// the first token. Who watches from outside, as Envoy does, can time headers
// only. So they are held until the first byte of the body, and the time to them
// is the time to the first token.
//
// # Why tokens are counted
//
// How long an answer takes depends on its length. With the number of its tokens, said
// in a trailer, who watches from outside can tell a slow version from a long answer.
package passthrough

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/server/orca"
)

// Config says what is passed through, and how much of it.
type Config struct {
	Target *url.URL
	// Limit is how many requests may be under way; more are refused with 429.
	// Default 256.
	Limit  int64
	Logger *slog.Logger // default: none
}

// Handler passes requests through.
type Handler struct {
	config  Config
	proxy   *httputil.ReverseProxy
	metrics metrics
	running atomic.Int64

	mu   sync.Mutex
	load serving.Load
}

// New refuses a target that is no http or https address.
func New(c Config) (*Handler, error) {
	if c.Target == nil || c.Target.Host == "" || c.Target.Scheme != "http" && c.Target.Scheme != "https" {
		return nil, fmt.Errorf("target: an http or https URL, found %q", c.Target)
	}
	if c.Limit < 0 {
		return nil, fmt.Errorf("limit: positive, found %d", c.Limit)
	}
	if c.Limit == 0 {
		c.Limit = 256
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{config: c, metrics: newMetrics()}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(c.Target); r.SetXForwarded() },
		FlushInterval:  -1, // every token as it comes
		ModifyResponse: h.begin,
		ErrorHandler:   h.fail,
		ErrorLog:       slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	return h, nil
}

// Register adds the metrics.
func (h *Handler) Register(r prometheus.Registerer) { r.MustRegister(h.metrics.all()...) }

// began is when a request came, for its context.
type began struct{}

// ServeHTTP admits a request and passes it through.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	running := h.running.Add(1)
	defer h.running.Add(-1)
	h.note(func(l *serving.Load) { l.Arrived(now, 1, 0) })
	h.metrics.running.Inc()
	defer h.metrics.running.Dec()
	if running > h.config.Limit {
		w.Header().Set("Retry-After", "1")
		h.refuse(w, http.StatusTooManyRequests, fmt.Sprintf("server is full: %d requests are under way, %d may be", running-1, h.config.Limit))
		return
	}
	h.proxy.ServeHTTP(w, r.WithContext(withBegan(r.Context(), now)))
	h.metrics.request.Observe(time.Since(now).Seconds())
}

func (h *Handler) note(what func(*serving.Load)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what(&h.load)
}

// report is the load now: requests under way over those that may be.
func (h *Handler) report() serving.LoadReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.load.Report(time.Now(), 0, 0)
	r.Utilization = max(r.Utilization, float64(h.running.Load())/float64(h.config.Limit))
	return r
}

// errorBody is OpenAI's form of an error.
type errorBody struct {
	Error errorFact `json:"error"`
}

type errorFact struct {
	Message string `json:"message"`
	Code    int    `json:"code"`
}

// refuse answers with an error.
func (h *Handler) refuse(w http.ResponseWriter, status int, text string) {
	h.ended(status)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(orca.Header, orca.Text(h.report()))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorBody{errorFact{text, status}}) //nolint:errchkjson // the client left: nobody to tell
}

func (h *Handler) ended(status int) {
	now := time.Now()
	h.metrics.answers.WithLabelValues(fmt.Sprint(status)).Inc()
	h.note(func(l *serving.Load) {
		if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
			l.Failed(now, 1)
			return
		}
		l.Answered(now, 1)
	})
}

// fail answers for a target that does not.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		h.metrics.answers.WithLabelValues("cancelled").Inc()
		w.WriteHeader(499) // nobody reads it
		return
	}
	h.refuse(w, http.StatusBadGateway, fmt.Sprintf("%s: %v", h.config.Target.Host, err))
}

// begin holds the headers until the body begins. After an upgrade there is none,
// but a connection, on which the caller may speak first.
func (h *Handler) begin(r *http.Response) error {
	if r.StatusCode == http.StatusSwitchingProtocols {
		h.ended(r.StatusCode)
		return nil
	}
	body := bufio.NewReader(r.Body)
	if _, err := body.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if came, ok := beganAt(r.Request.Context()); ok {
		h.metrics.first.Observe(time.Since(came).Seconds())
	}
	r.Body = held{body, r.Body}
	if err := countTokens(r); err != nil {
		return err
	}
	h.ended(r.StatusCode)
	r.Header.Set(orca.Header, orca.Text(h.report()))
	return nil
}

// held is a body of which something was read ahead.
type held struct {
	io.Reader
	io.Closer
}

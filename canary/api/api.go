// Package api serves what a controller knows over HTTP, and takes verbs from
// people: /api/v1, the live page, /metrics, /healthz and /readyz. It decides
// nothing; a verb is an event of the rollout machine. It is made for loopback:
// a browser's page from elsewhere can neither read nor act.
//
// Start reading at Server.Handler.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

// Controller knows the inference routes and takes verbs.
type Controller interface {
	// Snapshots gives every inference route, sorted by key.
	Snapshots() []controller.Snapshot
	// Snapshot gives one, and whether it is there.
	Snapshot(config.Key) (controller.Snapshot, bool)
	// Do performs a verb and gives the decision, refused or not.
	Do(ctx context.Context, k config.Key, ev canary.Event) (canary.Decision, error)
}

// Archive keeps decisions and reviews, also of inference routes that are gone.
type Archive interface {
	// Decisions of a rollout, oldest first. Empty means all of the route's.
	Decisions(k config.Key, rollout string) ([]canary.Decision, error)
	// Review of a rollout. Empty means the newest. Where there is none the error is
	// review.ErrNone.
	Review(k config.Key, rollout string) (review.Review, error)
}

// Config of a Server.
type Config struct {
	Controller Controller
	Archive    Archive
	Outcomes   Outcomes
	Proxies    func() any       // JSON-able list; what is known of every proxy
	Ready      func() error     // nil when the control plane serves
	Metrics    http.Handler     // of /metrics
	Log        *slog.Logger     // default: none
	Now        func() time.Time // default time.Now
}

// Server answers HTTP requests.
type Server struct {
	Config
}

// New checks c.
func New(c Config) (*Server, error) {
	if c.Controller == nil || c.Archive == nil || c.Outcomes == nil || c.Proxies == nil || c.Ready == nil || c.Metrics == nil {
		return nil, errors.New("api: Controller, Archive, Outcomes, Proxies, Ready and Metrics must be given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Server{c}, nil
}

// Handler serves everything. Streams of events last until their client leaves or
// the http.Server's BaseContext ends.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/routes", s.list)
	mux.HandleFunc("GET /api/v1/routes/{namespace}/{name}", s.one)
	mux.HandleFunc("GET /api/v1/routes/{namespace}/{name}/decisions", s.decisions)
	mux.HandleFunc("GET /api/v1/routes/{namespace}/{name}/review", s.review)
	mux.HandleFunc("POST /api/v1/routes/{namespace}/{name}/verbs/{verb}", s.verb)
	mux.HandleFunc("POST /api/v1/routes/{namespace}/{name}/outcomes", s.outcomes)
	mux.HandleFunc("GET /api/v1/proxies", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.Proxies()) })
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.Handle("GET /metrics", s.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /{$}", s.page)
	return local(mux)
}

// readyz says in plain text why the control plane does not serve yet.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, problem{Error: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.write(w, append(data, '\n'))
}

func (s *Server) write(w http.ResponseWriter, data []byte) {
	if _, err := w.Write(data); err != nil { //nolint:gosec // JSON, or a page that html/template escaped
		s.Log.Debug("api: client left", "error", err)
	}
}

// problem is the body of every answer that is no success.
type problem struct {
	Error string `json:"error"` // one sentence
	Kind  kind   `json:"kind,omitempty"`
}

// kind tells a client which problem it is, where clients tell them apart.
type kind string

const (
	kindNoRoute  kind = "NoRoute"
	kindNoReview kind = "NoReview"
	kindRefused  kind = "Refused" // by the rollout machine
)

func refuse(w http.ResponseWriter, code int, p problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		return // the client left
	}
}

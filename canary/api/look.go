package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

func keyOf(r *http.Request) config.Key {
	return config.Key{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, viewsOf(s.Controller.Snapshots()))
}

func (s *Server) one(w http.ResponseWriter, r *http.Request) {
	snapshot, ok := s.Controller.Snapshot(keyOf(r))
	if !ok {
		s.unknown(w, keyOf(r))
		return
	}
	s.answer(w, viewOf(snapshot))
}

// decisions gives the log of a rollout, or with tail=N the end of it.
func (s *Server) decisions(w http.ResponseWriter, r *http.Request) {
	tail, err := tailOf(r.FormValue("tail"))
	if err != nil {
		refuse(w, http.StatusBadRequest, problem{Error: err.Error()})
		return
	}
	list, err := s.Archive.Decisions(keyOf(r), r.FormValue("rollout"))
	if err != nil {
		refuse(w, http.StatusInternalServerError, problem{Error: err.Error()})
		return
	}
	if _, ok := s.Controller.Snapshot(keyOf(r)); !ok && len(list) == 0 {
		s.unknown(w, keyOf(r))
		return
	}
	if tail > 0 && len(list) > tail {
		list = list[len(list)-tail:]
	}
	s.answer(w, append([]canary.Decision{}, list...)) // an empty list is not null
}

// tailOf reads how many entries are asked for; 0 is all.
func tailOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("tail: is not a count from 1, found %q", text)
	}
	return n, nil
}

// review gives a review as JSON, or as a page to whoever accepts one.
func (s *Server) review(w http.ResponseWriter, r *http.Request) {
	made, err := s.Archive.Review(keyOf(r), r.FormValue("rollout"))
	switch _, ok := s.Controller.Snapshot(keyOf(r)); {
	case errors.Is(err, review.ErrNone) && !ok:
		s.unknown(w, keyOf(r))
		return
	case errors.Is(err, review.ErrNone):
		refuse(w, http.StatusNotFound, problem{Error: err.Error(), Kind: kindNoReview})
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, problem{Error: err.Error()})
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.answer(w, made)
		return
	}
	page, err := made.HTML()
	if err != nil {
		refuse(w, http.StatusInternalServerError, problem{Error: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	s.write(w, page)
}

// unknown names the inference routes there are.
func (s *Server) unknown(w http.ResponseWriter, k config.Key) {
	var known []string
	for _, snapshot := range s.Controller.Snapshots() {
		known = append(known, snapshot.State.Route.String())
	}
	text := fmt.Sprintf("%s is not one of: %s", k, strings.Join(known, ", "))
	if len(known) == 0 {
		text = fmt.Sprintf("%s is not there, and neither is any other inference route", k)
	}
	refuse(w, http.StatusNotFound, problem{Error: text, Kind: kindNoRoute})
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// Outcome is what became of a unit of an A/B test, or of the unit that sent a request.
type Outcome struct {
	Unit    string `json:"unit,omitempty"`    // this, or request
	Request string `json:"request,omitempty"` // as its answer had it in x-request-id
	Outcome string `json:"outcome"`           // its name in the test
	// Value is required; of a rate it is 0 or 1.
	Value *float64 `json:"value"`
	// Time is when it happened. Default: when it came. Two that are equal in all other
	// parts are one unless they say so.
	Time time.Time `json:"time,omitzero"`
}

// Bounds of one batch.
const (
	// MostOutcomes is how many outcomes are taken at once.
	MostOutcomes = 10_000
	mostBody     = 8 << 20
)

// Outcomes takes what users report of A/B tests.
type Outcomes interface {
	// Tell gives what became of each. The error is one of controller's ErrNoRoute,
	// ErrNoTest, ErrNotConfigured and ErrBusy.
	Tell(ctx context.Context, k config.Key, reports []analysis.ABReport) (controller.Receipt, error)
}

// outcomes takes a batch: a JSON array, or JSON objects one after the other. What is
// none in its form refuses the whole batch, with 400; what makes no sense to the test is
// refused by itself, in the receipt. 409 says that no test runs.
func (s *Server) outcomes(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.Controller.Snapshot(keyOf(r)); !ok {
		s.unknown(w, keyOf(r))
		return
	}
	reports, err := readOutcomes(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, problem{Error: err.Error()})
		return
	}
	receipt, err := s.Outcomes.Tell(r.Context(), keyOf(r), reports)
	switch {
	case errors.Is(err, controller.ErrNoTest):
		refuse(w, http.StatusConflict, problem{Error: err.Error(), Kind: kindRefused})
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, problem{Error: err.Error()})
	default:
		s.answer(w, receipt)
	}
}

// readOutcomes reads a whole batch.
func readOutcomes(body io.Reader) (reports []analysis.ABReport, err error) {
	reader := NewOutcomeReader(body)
	for {
		o, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return reports, nil
		case err != nil:
			return nil, fmt.Errorf("outcome %d: %w", len(reports), err)
		case len(reports) == MostOutcomes:
			return nil, fmt.Errorf("body: has more than %d outcomes: send them in parts", MostOutcomes)
		}
		reports = append(reports, analysis.ABReport{Unit: o.Unit, Request: o.Request, Outcome: o.Outcome, Value: *o.Value, At: o.Time})
	}
}

// Tell sends outcomes, at most MostOutcomes. Where no A/B test runs it is ErrRefused.
func (c *Client) Tell(ctx context.Context, k config.Key, outcomes []Outcome) (receipt controller.Receipt, err error) {
	body, err := json.Marshal(append([]Outcome{}, outcomes...)) // none is not null
	if err != nil {
		return receipt, err
	}
	err = c.do(ctx, http.MethodPost, route(k)+"/outcomes", bytes.NewReader(body), &receipt)
	return receipt, err
}

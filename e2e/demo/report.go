package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// report is what machines read of a demo. Its figures come from what users got,
// not from what the control plane says.
type report struct {
	Seed    uint64   `json:"seed"`
	Stories []result `json:"stories"`
}

// result is one story's.
type result struct {
	Name     string         `json:"name"`
	Expected canary.Outcome `json:"expected"`
	Outcome  canary.Outcome `json:"outcome"` // empty: the rollout did not end
	// ExposureSeconds is from the first request that the candidate answered to the
	// last.
	ExposureSeconds   float64 `json:"exposure_s"`
	CandidateRequests int     `json:"candidate_requests"`
	TotalRequests     int     `json:"total_requests"`
	// UserFailures are server errors, and requests that nobody answered.
	UserFailures int    `json:"user_failures"`
	Review       string `json:"review"` // path of review.json; review.html is beside it
}

func (s *scene) report() string { return filepath.Join(s.out, "report.json") }

// result of a story that was told.
func (t *telling) result(state string) result {
	answers := t.record.Answers()
	served := answers.Of(candidate)
	r := result{
		Name: t.Name, Expected: t.Expected,
		ExposureSeconds:   float64(served.Last().Sub(served.First()).Milliseconds()) / 1000,
		CandidateRequests: len(served),
		TotalRequests:     len(answers),
		UserFailures:      len(answers.Failed()),
	}
	if t.finished != nil {
		r.Outcome = t.finished.Outcome
		r.Review = filepath.Join(state, "reviews", namespace, t.Name, t.finished.ID, "review.json")
	}
	return r
}

// write puts the report where machines look for it.
func (r report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return stage.Replace(path, append(text, '\n'))
}

// reviewLimit is how long after the end of a rollout its review may take.
const reviewLimit = 10 * time.Second

// reviewed waits for a review to be written.
func (r result) reviewed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reviewLimit)
	defer cancel()
	for {
		_, err := os.Stat(r.Review)
		if err == nil {
			return nil
		}
		if pause(ctx, glance) != nil {
			return fmt.Errorf("%s: left no review: %w", r.Name, err)
		}
	}
}

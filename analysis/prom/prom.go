// Package prom reads metrics of a user's own from Prometheus servers while a rollout
// runs: each query once per version, at one and the same time. It says what it read
// and what it could not, and judges nothing: NaN, no series, old samples and errors
// are told apart, and none of them is a number.
//
// Start reading at Poller.Run, then Client.Read.
package prom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Client asks Prometheus servers. The zero value asks as http.DefaultClient does.
type Client struct{ HTTP *http.Client }

// answerMost is how many bytes of an answer are read: one number needs few.
const answerMost = 1 << 20

// Question is one instant query.
type Question struct {
	Server string    // its URL
	Query  string    // PromQL, of one series or a scalar
	At     time.Time // that it is asked of
	Stale  time.Duration
}

// Read asks for one number. It never fails: what went wrong is in the Reading.
func (c Client) Read(ctx context.Context, q Question) analysis.Reading {
	values, err := c.query(ctx, q, q.Stale)
	switch {
	case err != nil:
		return unread(err)
	case len(values) > 1:
		return unread(fmt.Errorf("%d series match: sum or average them", len(values)))
	case len(values) == 1 && (math.IsNaN(values[0]) || math.IsInf(values[0], 0)):
		return analysis.Reading{Outcome: analysis.NotANumber}
	case len(values) == 1:
		return analysis.Reading{Outcome: analysis.Read, Value: values[0]}
	}
	old, err := c.query(ctx, q, 0)
	switch {
	case err != nil:
		return unread(err)
	case len(old) > 0:
		return analysis.Reading{Outcome: analysis.Stale}
	}
	return analysis.Reading{Outcome: analysis.Empty}
}

func unread(err error) analysis.Reading {
	return analysis.Reading{Outcome: analysis.Unread, Text: err.Error()}
}

// reply is what the query API answers. source: Prometheus, HTTP API.
type reply struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// sample is [seconds, "value"].
type sample [2]json.RawMessage

// query gives the values of all series. Samples older than lookback count as none; 0
// leaves that to the server, whose limit is 5 minutes unless it was told otherwise.
func (c Client) query(ctx context.Context, q Question, lookback time.Duration) ([]float64, error) {
	form := url.Values{"query": {q.Query}, "time": {strconv.FormatFloat(float64(q.At.UnixMilli())/1000, 'f', 3, 64)}}
	if lookback > 0 {
		form.Set("lookback_delta", strconv.FormatFloat(lookback.Seconds(), 'f', 3, 64))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(q.Server, "/")+"/api/v1/query", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMost))
	if err != nil {
		return nil, err
	}
	return values(response.StatusCode, body)
}

func values(code int, body []byte) ([]float64, error) {
	var r reply
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("the answer (status %d) is not Prometheus's: %w", code, err)
	}
	if r.Status != "success" {
		return nil, fmt.Errorf("status %d: %s", code, r.Error)
	}
	switch r.Data.ResultType {
	case "scalar":
		var one sample
		if err := json.Unmarshal(r.Data.Result, &one); err != nil {
			return nil, err
		}
		v, err := one.value()
		return []float64{v}, err
	case "vector":
		return vector(r.Data.Result)
	}
	return nil, fmt.Errorf("the query gives a %s, not one number", r.Data.ResultType)
}

func vector(result json.RawMessage) ([]float64, error) {
	var series []struct {
		Value *sample `json:"value"`
	}
	if err := json.Unmarshal(result, &series); err != nil {
		return nil, err
	}
	var all []float64
	for _, s := range series {
		if s.Value == nil {
			return nil, errors.New("the query gives a histogram, not one number")
		}
		v, err := s.Value.value()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (s sample) value() (float64, error) {
	var text string
	if err := json.Unmarshal(s[1], &text); err != nil {
		return 0, err
	}
	return strconv.ParseFloat(text, 64)
}

package prom_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/prom"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
)

// server answers as Prometheus does, in its own types: by query, the values that are
// there, and how old they are.
type server struct {
	mu      sync.Mutex
	values  map[string]model.Value
	age     map[string]time.Duration
	asked   []string
	refused int // HTTP status
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.FormValue("query")
	s.asked = append(s.asked, query)
	if s.refused > 0 {
		w.WriteHeader(s.refused)
		fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}`)
		return
	}
	value := s.values[query]
	lookback := 5 * time.Minute
	if text := r.FormValue("lookback_delta"); text != "" {
		lookback, _ = time.ParseDuration(text + "s")
	}
	if value == nil || s.age[query] > lookback {
		value = model.Vector{}
	}
	var reply struct {
		Status string `json:"status"`
		Data   struct {
			ResultType model.ValueType `json:"resultType"`
			Result     model.Value     `json:"result"`
		} `json:"data"`
	}
	reply.Status, reply.Data.ResultType, reply.Data.Result = "success", value.Type(), value
	_ = json.NewEncoder(w).Encode(reply) //nolint:errchkjson // the client would say so
}

func vectorOf(values ...float64) model.Vector {
	var v model.Vector
	for i, x := range values {
		v = append(v, &model.Sample{Metric: model.Metric{"pod": model.LabelValue(fmt.Sprint(i))}, Value: model.SampleValue(x), Timestamp: 1000})
	}
	return v
}

func start(t *testing.T, s *server) string {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return web.URL
}

var nan = func() float64 { var zero float64; return zero / zero }()

func TestFourKindsOfNoNumberAreToldApart(t *testing.T) {
	s := &server{
		values: map[string]model.Value{
			"one": vectorOf(42.5), "scalar": &model.Scalar{Value: 7}, "nan": vectorOf(nan), "many": vectorOf(1, 2),
			"old": vectorOf(3), "matrix": model.Matrix{}, "words": &model.String{Value: "x"},
		},
		age: map[string]time.Duration{"old": 2 * time.Minute},
	}
	at := start(t, s)
	for query, want := range map[string]analysis.Reading{
		"one":    {Outcome: analysis.Read, Value: 42.5},
		"scalar": {Outcome: analysis.Read, Value: 7},
		"nan":    {Outcome: analysis.NotANumber},
		"none":   {Outcome: analysis.Empty},
		"old":    {Outcome: analysis.Stale},
		"many":   {Outcome: analysis.Unread, Text: "2 series match: sum or average them"},
		"matrix": {Outcome: analysis.Unread, Text: "the query gives a matrix, not one number"},
		"words":  {Outcome: analysis.Unread, Text: "the query gives a string, not one number"},
	} {
		got := prom.Client{}.Read(t.Context(), prom.Question{Server: at + "/", Query: query, At: time.Unix(1000, 0), Stale: time.Minute})
		require.Equal(t, want, got, query)
	}
}

func TestARefusalAndASilentServerAreErrors(t *testing.T) {
	s := &server{refused: http.StatusBadRequest}
	at := start(t, s)
	got := prom.Client{}.Read(t.Context(), prom.Question{Server: at, Query: "sum("})
	require.Equal(t, analysis.Reading{Outcome: analysis.Unread, Text: "status 400: parse error: unexpected end of input"}, got)

	web := httptest.NewServer(http.NotFoundHandler())
	got = prom.Client{}.Read(t.Context(), prom.Question{Server: web.URL, Query: "x"})
	require.Equal(t, analysis.Unread, got.Outcome)
	require.Contains(t, got.Text, "the answer (status 404) is not Prometheus's")
	web.Close()
	got = prom.Client{}.Read(t.Context(), prom.Question{Server: web.URL, Query: "x"})
	require.Equal(t, analysis.Unread, got.Outcome)
	require.Contains(t, got.Text, "refused")
}

// rollouts is one that runs, and what was measured of it.
type rollouts struct {
	subject  prom.Subject
	measured chan analysis.Measurement
}

func (r *rollouts) Subjects() []prom.Subject { return []prom.Subject{r.subject} }

func (r *rollouts) Measured(_ prom.Subject, m analysis.Measurement) { r.measured <- m }

func TestEachMetricIsMeasuredForBothVersionsAtOneTime(t *testing.T) {
	s := &server{values: map[string]model.Value{
		`bad{version="v1",route="ml/filetype"}`: vectorOf(1), `all{version="v1"}`: vectorOf(100),
		`bad{version="v2",route="ml/filetype"}`: vectorOf(2), `all{version="v2"}`: vectorOf(50),
		`size{version="v1"}`: vectorOf(3),
	}}
	at := start(t, s)
	own := func(name string, p config.Prometheus) config.Metric {
		p.URL, p.Interval, p.Stale = at, config.Duration(time.Hour), config.Duration(time.Minute)
		return config.Metric{Name: config.MetricName(name), Prometheus: &p}
	}
	r := &rollouts{
		subject: prom.Subject{
			Arms: analysis.Arms{Route: config.Key{Namespace: "ml", Name: "filetype"}, Stable: "v1", Candidate: "v2"}, Rollout: "1", Epoch: 7,
			Metrics: []config.Metric{
				own("counts", config.Prometheus{Bad: `bad{version="$version",route="$namespace/$name"}`, Total: `all{version="$version"}`}),
				own("gauge", config.Prometheus{Value: `size{version="$version"}`}),
			},
		},
		measured: make(chan analysis.Measurement, 2),
	}
	now := time.Unix(5000, 0)
	p, err := prom.New(prom.Config{Rollouts: r, Now: func() time.Time { return now }})
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	got := map[config.MetricName]analysis.Measurement{}
	for range 2 {
		m := await.Next(t, r.measured, "a measurement")
		got[m.Metric] = m
	}
	cancel(errors.New("enough"))
	require.Error(t, await.Next(t, ended, "the end of the poller"))
	number := func(x float64) analysis.Reading { return analysis.Reading{Outcome: analysis.Read, Value: x} }
	require.Equal(t, map[config.MetricName]analysis.Measurement{
		"counts": {
			Metric: "counts", At: now, Epoch: 7,
			Stable:    analysis.Measured{Bad: number(1), Total: number(100)},
			Candidate: analysis.Measured{Bad: number(2), Total: number(50)},
		},
		"gauge": {
			Metric: "gauge", At: now, Epoch: 7,
			Stable:    analysis.Measured{Value: number(3)},
			Candidate: analysis.Measured{Value: analysis.Reading{Outcome: analysis.Empty}},
		},
	}, got)
	require.Empty(t, r.measured, "an hour has not passed")
}

func TestAPollerNeedsRollouts(t *testing.T) {
	_, err := prom.New(prom.Config{})
	require.ErrorContains(t, err, "Rollouts must be given")
}

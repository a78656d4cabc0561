package server_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server"
)

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestARefusalDoesNotReadTheBody(t *testing.T) {
	serve(t, fake.Config{Fixed: 100 * ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		go w.post(row(1, 1))
		synctest.Wait()
		r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", unread{t})
		r.Header.Set("x-envoy-expected-rq-timeout-ms", "50")
		answer := w.do(r)
		assert.Equal(t, http.StatusTooManyRequests, answer.Code)
		assert.Contains(t, errorOf(t, answer), "deadline cannot be met")
		assert.Equal(t, 2, 1+counted(t, w.get("/metrics").Body.String()), "the other one still runs")
	})
}

func TestPriorities(t *testing.T) {
	var mu sync.Mutex
	var order []int32
	note := func(in []serving.Tensor) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, int32(binary.LittleEndian.Uint32(in[0].Data)))
		return nil
	}
	one := func(c *server.Config) { c.MaxBatch = 1 }
	serve(t, fake.Config{Fixed: 10 * ms, Before: note}, one, func(t *testing.T, w *world) {
		w.warm()
		order = nil
		var group sync.WaitGroup
		for i, priority := range []int{2, 3, 0, 1} {
			body := strings.Replace(row(i, 0), `{"inputs"`, fmt.Sprintf(`{"parameters":{"priority":%d},"inputs"`, priority), 1)
			group.Go(func() { w.post(body) })
			synctest.Wait()
		}
		group.Wait()
		assert.Equal(t, []int32{0, 3, 2, 1}, order, "the first ran at once, then urgent, normal, patient")
	})
}

func TestBatchesAreFilledUp(t *testing.T) {
	var rows []int64
	note := func(in []serving.Tensor) error { rows = append(rows, in[0].Shape[0]); return nil }
	sizes := func(c *server.Config) { c.Sizes = []int{1, 4} }
	serve(t, fake.Config{Fixed: 10 * ms, Before: note}, sizes, func(t *testing.T, w *world) {
		w.warm()
		assert.NotContains(t, rows, int64(2), "not even the warm-up runs other sizes")
		rows = nil
		for i, r := range w.together(3) { // one, then two together
			assert.Contains(t, r.Body.String(), fmt.Sprintf(`"shape":[1,2],"data":[%d,%d]`, i, -i))
		}
		assert.Equal(t, []int64{1, 4}, rows)
		metrics := w.get("/metrics").Body.String()
		assert.Contains(t, metrics, `sluice_serving_padding_ratio_sum{model="m",version="1"} 0.5`, "two rows of four, once")
		assert.Contains(t, metrics, `sluice_serving_padding_ratio_count{model="m",version="1"} 2`)
	})
}

func TestAnswersCarryWhatTheyAreAskedFor(t *testing.T) {
	all := func(c *server.Config) { c.LoadReports, c.Digests = true, true }
	serve(t, fake.Config{Fixed: 10 * ms}, all, func(t *testing.T, w *world) {
		w.warm()
		w.post(row(1, 2))
		time.Sleep(time.Second)
		first := w.post(row(1, 2))
		assert.Contains(t, first.Header().Get("Endpoint-Load-Metrics"), "TEXT application_utilization=")
		assert.Len(t, first.Header().Get("X-Sluice-Digest"), 32)
		assert.Equal(t, first.Header().Get("X-Sluice-Digest"), w.post(row(1, 2)).Header().Get("X-Sluice-Digest"))
		assert.NotEqual(t, first.Header().Get("X-Sluice-Digest"), w.post(row(1, 3)).Header().Get("X-Sluice-Digest"))
		assert.Contains(t, w.post("x").Header().Get("Endpoint-Load-Metrics"), "rps_fractional=", "an error tells the load, too")
	})
	serve(t, fake.Config{}, nil, func(t *testing.T, w *world) {
		w.warm()
		w.post(row(1, 2))
		r := w.post(row(1, 2))
		assert.Empty(t, r.Header().Get("Endpoint-Load-Metrics")+r.Header().Get("X-Sluice-Digest"), "unless they are not")
	})
}

func TestTokensOverHTTP(t *testing.T) {
	serve(t, fake.Config{}, func(c *server.Config) { c.Tokens = server.NewTokens("secret") }, func(t *testing.T, w *world) {
		w.warm() // health needs none
		r := w.post(row(1, 2))
		assert.Equal(t, http.StatusUnauthorized, r.Code)
		assert.Equal(t, "Bearer", r.Header().Get("Www-Authenticate"))
		assert.Equal(t, http.StatusUnauthorized, w.get("/metrics").Code)
		assert.Equal(t, http.StatusOK, w.post(row(1, 2), "Authorization", "Bearer secret").Code)
	})
}

func TestTracesReachMetricsAndSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	traced := func(c *server.Config) { c.Tracer = provider.Tracer("test") }
	serve(t, fake.Config{Fixed: 10 * ms}, traced, func(t *testing.T, w *world) {
		w.warm()
		w.post(row(1, 2), "Traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
		w.post(row(1, 2), "Traceparent", "00-33333333333333333333333333333333-2222222222222222-00")
		names := map[string]time.Duration{}
		for _, s := range recorder.Ended() {
			assert.Equal(t, "11111111111111111111111111111111", s.SpanContext().TraceID().String(), "only the sampled one")
			names[s.Name()] = s.EndTime().Sub(s.StartTime())
		}
		assert.Equal(t, map[string]time.Duration{"infer": 10 * ms, "queue": 0, "batch": 0, "run": 10 * ms}, names)
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		metrics := w.do(r).Body.String()
		assert.Contains(t, metrics, `# {trace_id="11111111111111111111111111111111"}`, "an exemplar")
		assert.NotContains(t, metrics, "33333333333333333333333333333333")
	})
}

func TestSwap(t *testing.T) {
	serve(t, fake.Config{Fixed: 10 * ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		version := func() string {
			var a struct {
				Version string `json:"model_version"`
			}
			require.NoError(t, json.Unmarshal(w.post(row(1, 2)).Body.Bytes(), &a))
			return a.Version
		}
		other, err := fake.New(3, fake.Config{})
		require.NoError(t, err)
		err = w.server.Swap(t.Context(), server.Generation{Version: "2", Backend: other})
		assert.ErrorContains(t, err, `version "2": signature is`)
		broken, err := fake.New(2, fake.Config{Before: func([]serving.Tensor) error { return errors.New("out of memory") }})
		require.NoError(t, err)
		err = w.server.Swap(t.Context(), server.Generation{Version: "2", Backend: broken})
		assert.EqualError(t, err, `version "2": warm-up: batch of 4: out of memory`)
		assert.Equal(t, "1", version(), "what cannot be served leaves the old one")

		next, err := fake.New(2, fake.Config{Fixed: 20 * ms})
		require.NoError(t, err)
		swapped := make(chan error)
		go func() {
			swapped <- w.server.Swap(context.Background(), server.Generation{Version: "2", Digest: "sha256:2", Backend: next})
		}()
		synctest.Wait()
		assert.Equal(t, "1", version(), "the old one answers until the new one is warm")
		require.NoError(t, <-swapped)
		assert.Equal(t, "2", version())
		metrics := w.get("/metrics").Body.String()
		assert.Contains(t, metrics, `nv_inference_request_success{model="m",version="1"} 2`)
		assert.Contains(t, metrics, `nv_inference_request_success{model="m",version="2"} 1`, "a version's requests are its own")
		assert.Contains(t, w.get("/v2/models/m").Body.String(), `"digest":"sha256:2"`)
		assert.Equal(t, http.StatusNotFound, w.get("/v2/models/m/versions/1").Code)
		_, err = w.model.Run(t.Context(), 0, nil)
		assert.ErrorIs(t, err, fake.ErrClosed, "the old one is closed")
	})
}

// scorer answers every row with the same probabilities.
type scorer struct{ scores []float32 }

func (scorer) Signature() serving.Signature {
	return serving.Signature{
		Inputs:  []serving.Spec{{Name: "in", Datatype: serving.Int32, Shape: serving.Shape{-1, 2}}},
		Outputs: []serving.Spec{{Name: "scores", Datatype: serving.FP32, Shape: serving.Shape{-1, 3}}},
	}
}

func (s scorer) Run(_ context.Context, _ int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	rows := inputs[0].Shape[0]
	var data []byte
	for range rows {
		for _, v := range s.scores {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	return []serving.Tensor{{Name: "scores", Datatype: serving.FP32, Shape: serving.Shape{rows, 3}, Data: data}}, nil
}

func TestAnswersAreSketched(t *testing.T) {
	scores := func(c *server.Config) { c.Backend = scorer{[]float32{0.1, 0.8, 0.1}} }
	serve(t, fake.Config{}, scores, func(t *testing.T, w *world) {
		w.warm()
		for range 3 {
			require.Equal(t, http.StatusOK, w.post(row(1, 2)).Code)
		}
		body := w.get("/v2/models/m/sketch").Body.String()
		assert.Contains(t, body, `"output":"scores","sketch":{"rows":3,"classes":[0,3,0],"broken":0,"unnormalized":0`)
	})
	serve(t, fake.Config{}, nil, func(t *testing.T, w *world) {
		assert.Equal(t, http.StatusNotFound, w.get("/v2/models/m/sketch").Code, "integers are no scores")
	})
}

// slowly is a caller that takes a second for each part of a body.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Second) // of virtual time
	return s.Reader.Read(p[:min(len(p), 16)])
}

func TestACallersSlowBodyIsNoOverhead(t *testing.T) {
	serve(t, fake.Config{Fixed: 5 * ms}, nil, func(t *testing.T, w *world) {
		w.warm()

		answer := w.do(httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", slowly{strings.NewReader(row(1, 2))}))

		require.Equal(t, http.StatusOK, answer.Code, answer.Body.String())
		require.Contains(t, w.get("/metrics").Body.String(), "sluice_serving_overhead_seconds_sum{model=\"m\",version=\"1\"} 0\n")
	})
}

func TestABodyThatOutlastsItsDeadlineIsTooLate(t *testing.T) {
	serve(t, fake.Config{Fixed: 5 * ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", slowly{strings.NewReader(row(1, 2))})
		r.Header.Set("x-envoy-expected-rq-timeout-ms", "1500")
		answer := w.do(r)
		assert.Equal(t, http.StatusGatewayTimeout, answer.Code)
		assert.Contains(t, errorOf(t, answer), "deadline passed while the request was read")
	})
}

func TestABodyThatSaysItIsTooLongIsNotRead(t *testing.T) {
	serve(t, fake.Config{}, func(c *server.Config) { c.MaxBody = 100 }, func(t *testing.T, w *world) {
		w.warm()
		r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", unread{t})
		r.ContentLength = 101
		assert.Equal(t, http.StatusRequestEntityTooLarge, w.do(r).Code)
	})
}

package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server"
)

func TestInferring(t *testing.T) {
	serve(t, fake.Config{PerItem: ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		r := w.post(`{"id":"x","inputs":[{"name":"in","datatype":"INT32","shape":[2,2],"data":[[1,2],[-3,4]]}]}`)
		require.Equal(t, http.StatusOK, r.Code, r.Body)
		assert.JSONEq(t, `{"model_name":"m","model_version":"1","id":"x",
			"outputs":[{"name":"out","datatype":"INT32","shape":[2,2],"data":[1,2,-3,4]}]}`, r.Body.String())
		assert.Equal(t, "application/json", r.Header().Get("Content-Type"))
	})
}

func TestInferringInBinary(t *testing.T) {
	raw := binary.LittleEndian.AppendUint64(nil, 0x0000000500000007)
	header := `{"inputs":[{"name":"in","datatype":"INT32","shape":[1,2],"parameters":{"binary_data_size":8}}],
		"outputs":[{"name":"out","parameters":{"binary_data":true}}]}`
	serve(t, fake.Config{PerItem: ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		r := w.post(header+string(raw), "Inference-Header-Content-Length", fmt.Sprint(len(header)))
		require.Equal(t, http.StatusOK, r.Code, r.Body)
		var n int
		_, err := fmt.Sscan(r.Header().Get("Inference-Header-Content-Length"), &n)
		require.NoError(t, err)
		assert.JSONEq(t, `{"model_name":"m","model_version":"1",
			"outputs":[{"name":"out","datatype":"INT32","shape":[1,2],"parameters":{"binary_data_size":8}}]}`, r.Body.String()[:n])
		assert.Equal(t, raw, r.Body.Bytes()[n:])
	})
}

func TestReadiness(t *testing.T) {
	serve(t, fake.Config{Fixed: 10 * ms}, nil, func(t *testing.T, w *world) {
		synctest.Wait()
		assert.Equal(t, http.StatusOK, w.get("/v2/health/live").Code, "alive while it warms up")
		for _, path := range []string{"/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready"} {
			r := w.get(path)
			assert.Equal(t, http.StatusServiceUnavailable, r.Code)
			assert.Equal(t, `model "m": warming up`, errorOf(t, r))
		}
		assert.Equal(t, http.StatusServiceUnavailable, w.post(row(1, 2)).Code)

		time.Sleep(14*10*ms + 1) // the largest batch in both slots, then all four three times
		synctest.Wait()
		assert.Equal(t, int64(14), w.model.Runs())
		assert.Equal(t, http.StatusOK, w.get("/v2/health/ready").Code)
		assert.Equal(t, http.StatusNotFound, w.get("/v2/models/x/ready").Code)

		w.stop()
		synctest.Wait()
		assert.NoError(t, <-w.ended)
		r := w.get("/v2/health/ready")
		assert.Equal(t, http.StatusServiceUnavailable, r.Code)
		assert.Equal(t, "server is shutting down", errorOf(t, r))
	})
}

func TestAFailedWarmUpEndsTheServer(t *testing.T) {
	broken := func([]serving.Tensor) error { return errors.New("out of memory") }
	serve(t, fake.Config{Before: broken}, nil, func(t *testing.T, w *world) {
		assert.EqualError(t, <-w.ended, "warm-up: batch of 4: out of memory")
	})
}

// together sends requests at once and collects the answers.
func (w *world) together(n int, header ...string) []*httptest.ResponseRecorder {
	answers := make([]*httptest.ResponseRecorder, n)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = w.post(row(i, -i), header...) })
		synctest.Wait() // one after the other, so that the order is known
	}
	group.Wait()
	return answers
}

func TestRequestsShareABatchAndKeepTheirRows(t *testing.T) {
	serve(t, fake.Config{Fixed: 10 * ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		before := w.model.Runs()
		for i, r := range w.together(5) {
			require.Equal(t, http.StatusOK, r.Code)
			assert.Contains(t, r.Body.String(), fmt.Sprintf(`"data":[%d,%d]`, i, -i))
		}
		assert.Equal(t, int64(2), w.model.Runs()-before, "one at once, the four others together")
		metrics := w.get("/metrics").Body.String()
		for _, line := range []string{
			`nv_inference_request_success{model="m",version="1"} 5`,
			`nv_inference_count{model="m",version="1"} 5`,
			`nv_inference_exec_count{model="m",version="1"} 2`,
			`nv_inference_queue_duration_us{model="m",version="1"} 40000`,
			`nv_inference_compute_infer_duration_us{model="m",version="1"} 50000`,
			`nv_inference_request_failure{model="m",reason="REJECTED",version="1"} 0`,
		} {
			assert.Contains(t, metrics, line)
		}
	})
}

func TestOverload(t *testing.T) {
	t.Run("a full queue answers 429 and when to come again", func(t *testing.T) {
		serve(t, fake.Config{Fixed: 100 * ms}, nil, func(t *testing.T, w *world) {
			w.warm()
			answers := w.together(10) // one runs, eight wait
			for _, r := range answers[:9] {
				assert.Equal(t, http.StatusOK, r.Code)
			}
			assert.Equal(t, http.StatusTooManyRequests, answers[9].Code)
			assert.Equal(t, "queue is full: 8 items wait, 8 may", errorOf(t, answers[9]))
			assert.Equal(t, "1", answers[9].Header().Get("Retry-After"))
			assert.Contains(t, w.get("/metrics").Body.String(), `nv_inference_request_failure{model="m",reason="REJECTED",version="1"} 1`)
		})
	})
	t.Run("a deadline out of reach answers 429 at once", func(t *testing.T) {
		serve(t, fake.Config{Fixed: 100 * ms}, nil, func(t *testing.T, w *world) {
			w.warm()
			answers := w.together(2, "x-envoy-expected-rq-timeout-ms", "150")
			assert.Equal(t, http.StatusOK, answers[0].Code)
			assert.Equal(t, http.StatusTooManyRequests, answers[1].Code)
			assert.Contains(t, errorOf(t, answers[1]), "deadline cannot be met: the answer is 200ms away, the deadline 150ms")
		})
	})
	t.Run("a deadline that a late run puts out of reach answers 504 before it passes", func(t *testing.T) {
		slow := false
		stall := func([]serving.Tensor) error {
			if slow {
				time.Sleep(time.Second)
			}
			return nil
		}
		serve(t, fake.Config{Fixed: 100 * ms, Before: stall}, nil, func(t *testing.T, w *world) {
			w.warm()
			slow = true
			began := time.Now()
			go w.post(row(1, 1))
			synctest.Wait()
			body := strings.Replace(row(2, 2), `{"inputs"`, `{"parameters":{"timeout":300000},"inputs"`, 1)
			r := w.post(body)
			assert.Equal(t, http.StatusGatewayTimeout, r.Code)
			assert.Equal(t, "deadline can no longer be met: expired while waiting", errorOf(t, r))
			assert.InDelta(t, 200*ms, time.Since(began), float64(5*ms), "a run takes 100 ms")
		})
	})
}

func TestACallerWhoLeavesCostsNobodyElse(t *testing.T) {
	serve(t, fake.Config{Fixed: 100 * ms}, nil, func(t *testing.T, w *world) {
		w.warm()
		go w.post(row(0, 0)) // keeps the device busy
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan int, 1)
		go func() {
			r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", strings.NewReader(row(1, 1)))
			left <- w.do(r.WithContext(ctx)).Code
		}()
		synctest.Wait()
		stays := make(chan *httptest.ResponseRecorder, 1)
		go func() { stays <- w.post(row(2, 2)) }()
		synctest.Wait()
		leave()
		<-left
		r := <-stays
		require.Equal(t, http.StatusOK, r.Code)
		assert.Contains(t, r.Body.String(), `"data":[2,2]`)
		metrics := w.get("/metrics").Body.String()
		assert.Contains(t, metrics, `nv_inference_request_failure{model="m",reason="CANCELED",version="1"} 1`)
		assert.Contains(t, metrics, `nv_inference_count{model="m",version="1"} 2`)
	})
}

func TestAModelThatFailsCostsOneBatch(t *testing.T) {
	tests := []struct {
		name string
		fail func() error
		want string
	}{
		{"with an error", func() error { return errors.New("bad node") }, "model: bad node"},
		{"with a panic", func() error { panic("index out of range") }, "model: model panicked: index out of range"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			failing := false
			before := func([]serving.Tensor) error {
				if failing {
					return test.fail()
				}
				return nil
			}
			serve(t, fake.Config{PerItem: ms, Before: before}, nil, func(t *testing.T, w *world) {
				w.warm()
				failing = true
				r := w.post(row(1, 1))
				assert.Equal(t, http.StatusInternalServerError, r.Code)
				assert.Equal(t, test.want, errorOf(t, r))
				failing = false
				assert.Equal(t, http.StatusOK, w.post(row(1, 1)).Code)
				assert.Contains(t, w.get("/metrics").Body.String(), `nv_inference_request_failure{model="m",reason="BACKEND",version="1"} 1`)
			})
		})
	}
}

// TestEveryRequestEndsOnce lets callers leave, deadlines pass and runs fail at
// random, and counts.
func TestEveryRequestEndsOnce(t *testing.T) {
	const requests = 2000
	random := rand.New(rand.NewPCG(3, 3))
	warm := false
	sometimes := func([]serving.Tensor) error { // runs are one at a time
		switch draw := random.IntN(20); {
		case !warm:
		case draw == 0:
			panic("bad luck")
		case draw == 1:
			return errors.New("bad node")
		case draw < 5:
			time.Sleep(20 * ms)
		}
		return nil
	}
	serve(t, fake.Config{Fixed: 3 * ms, PerItem: ms, Before: sometimes}, nil, func(t *testing.T, w *world) {
		w.warm()
		warm = true
		callers := rand.New(rand.NewPCG(4, 4))
		codes := make([]int, requests)
		var group sync.WaitGroup
		for i := range requests {
			r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", strings.NewReader(row(i, -i)))
			r.Header.Set("x-envoy-expected-rq-timeout-ms", fmt.Sprint(5+callers.IntN(60)))
			ctx, leave := context.WithTimeout(t.Context(), time.Duration(1+callers.IntN(100))*ms)
			group.Go(func() {
				defer leave()
				answer := w.do(r.WithContext(ctx))
				codes[i] = answer.Code
				if answer.Code == http.StatusOK {
					assert.Contains(t, answer.Body.String(), fmt.Sprintf(`"data":[%d,%d]`, i, -i))
				}
			})
			time.Sleep(time.Duration(callers.ExpFloat64() * float64(ms)))
		}
		group.Wait()
		time.Sleep(time.Second) // what nobody waits for any more ends, too

		seen := map[int]int{}
		for _, code := range codes {
			seen[code]++
		}
		t.Log(seen)
		for _, code := range []int{200, 429, 500, 503, 504} { // 503: left
			assert.NotZero(t, seen[code], code)
		}
		assert.Equal(t, requests, counted(t, w.get("/metrics").Body.String()), "each counted as one success or one failure")
	})
}

// counted sums Triton's request counters.
func counted(t *testing.T, metrics string) int {
	t.Helper()
	total := 0
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "nv_inference_request_success{") || strings.HasPrefix(line, "nv_inference_request_failure{") {
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
			require.NoError(t, err)
			total += n
		}
	}
	return total
}

func TestMetadata(t *testing.T) {
	change := func(c *server.Config) {
		c.Platform = "onnxruntime_onnx"
		c.Parameters = map[string]string{"injected_faults": "error-rate=0.5"}
	}
	serve(t, fake.Config{PerItem: ms}, change, func(t *testing.T, w *world) {
		for _, path := range []string{"/v2/models/m", "/v2/models/m/versions/1"} {
			assert.JSONEq(t, `{"name":"m","versions":["1"],"platform":"onnxruntime_onnx",
				"inputs":[{"name":"in","datatype":"INT32","shape":[-1,2]}],
				"outputs":[{"name":"out","datatype":"INT32","shape":[-1,2]}],
				"parameters":{"injected_faults":"error-rate=0.5"}}`, w.get(path).Body.String())
		}
		var about map[string]any
		require.NoError(t, json.NewDecoder(bytes.NewReader(w.get("/v2").Body.Bytes())).Decode(&about))
		assert.Equal(t, "sluice-serve", about["name"])
		assert.Equal(t, []any{"binary_tensor_data"}, about["extensions"])
	})
}

func TestANewServerIsCheckedWhole(t *testing.T) {
	_, err := server.New(server.Config{})
	assert.EqualError(t, err, "model name: missing\nmodel version: missing\nbackend: missing\nlistener: missing")
}

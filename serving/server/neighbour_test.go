package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server"
)

func TestABadRowCostsItsNeighboursNothingButTime(t *testing.T) {
	bad := binary.LittleEndian.AppendUint32(nil, 13)
	var runs [][]byte
	picky := func(in []serving.Tensor) error {
		runs = append(runs, in[0].Data)
		if bytes.Contains(in[0].Data, bad) {
			return errors.New("13 is not for this model")
		}
		return nil
	}
	serve(t, fake.Config{Fixed: 10 * ms, Before: picky}, nil, func(t *testing.T, w *world) {
		w.warm()
		runs = nil
		answers := make([]*httptest.ResponseRecorder, 5)
		var group sync.WaitGroup
		for i, value := range []int{1, 2, 13, 3, 4} { // the first alone, the others together
			group.Go(func() { answers[i] = w.post(row(value, 0)) })
			synctest.Wait()
		}
		group.Wait()
		for i, want := range []int{200, 200, 500, 200, 200} {
			assert.Equal(t, want, answers[i].Code, answers[i].Body.String())
		}
		assert.Contains(t, errorOf(t, answers[2]), "13 is not for this model")
		assert.Len(t, runs, 1+1+4, "one alone, four together, and each of these once again")
		metrics := w.get("/metrics").Body.String()
		assert.Contains(t, metrics, `nv_inference_request_failure{model="m",reason="BACKEND",version="1"} 1`)
		assert.Contains(t, metrics, `nv_inference_request_success{model="m",version="1"} 4`)
	})
}

func TestUrgentRequestsGetThroughAnOverload(t *testing.T) {
	limits := func(c *server.Config) { c.MaxBatch, c.Capacity = 1, 256 }
	serve(t, fake.Config{Fixed: 100 * ms}, limits, func(t *testing.T, w *world) {
		w.warm()
		until := time.Now().Add(10 * time.Second)
		var normal, refused atomic.Int64
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				for time.Now().Before(until) {
					if w.post(row(i, 0), "x-envoy-expected-rq-timeout-ms", "1500").Code == http.StatusOK {
						normal.Add(1)
						continue
					}
					refused.Add(1)
					time.Sleep(10 * ms)
				}
			})
		}
		urgent := 0
		time.Sleep(2 * time.Second)
		for time.Now().Before(until) {
			r := w.post(row(0, 0), "x-envoy-expected-rq-timeout-ms", "1500", "x-sluice-priority", "1")
			require.Equal(t, http.StatusOK, r.Code, r.Body.String())
			urgent++
		}
		group.Wait()
		assert.Greater(t, urgent, 10)
		assert.Positive(t, normal.Load())
		assert.Positive(t, refused.Load(), "it was an overload")
		r := w.post(row(0, 0), "x-sluice-priority", "0.5")
		assert.Equal(t, http.StatusBadRequest, r.Code)
		assert.Equal(t, `header X-Sluice-Priority: a level from 1 (urgent) to 3 (patient), found "0.5"`, errorOf(t, r))
	})
}

// remote is a model elsewhere, which may be gone.
type remote struct {
	*fake.Model

	gone  atomic.Bool
	asked atomic.Pointer[time.Time] // the deadline of the last run
}

func (r *remote) Run(ctx context.Context, slot int, in []serving.Tensor) ([]serving.Tensor, error) {
	if deadline, ok := ctx.Deadline(); ok {
		r.asked.Store(&deadline)
	}
	if err := r.Probe(ctx); err != nil {
		return nil, err
	}
	return r.Model.Run(ctx, slot, in)
}

func (r *remote) Probe(context.Context) error {
	if r.gone.Load() {
		return fmt.Errorf("%w: connection refused", serving.ErrUnavailable)
	}
	return nil
}

func TestReadinessFollowsAModelElsewhere(t *testing.T) {
	var model remote
	away := func(c *server.Config) {
		model.Model = c.Backend.(*fake.Model)
		c.Backend = &model
	}
	serve(t, fake.Config{}, away, func(t *testing.T, w *world) {
		w.warm()
		require.Equal(t, http.StatusOK, w.post(row(1, 2), "x-envoy-expected-rq-timeout-ms", "700").Code)
		assert.Equal(t, 700*ms, time.Until(*model.asked.Load()), "it is told the batch's deadline")
		model.gone.Store(true)
		for i := range 3 {
			assert.Equal(t, http.StatusOK, w.get("/v2/health/ready").Code, "after %d failures", i)
			r := w.post(row(1, 2))
			assert.Equal(t, http.StatusServiceUnavailable, r.Code)
			assert.Equal(t, "model is unavailable: connection refused", errorOf(t, r))
			synctest.Wait()
		}
		assert.Equal(t, http.StatusServiceUnavailable, w.get("/v2/health/ready").Code)
		time.Sleep(3 * time.Second)
		assert.Equal(t, http.StatusServiceUnavailable, w.get("/v2/health/ready").Code)
		model.gone.Store(false)
		time.Sleep(2 * time.Second)
		assert.Equal(t, http.StatusOK, w.get("/v2/health/ready").Code, "a probe was answered")
		assert.Equal(t, http.StatusOK, w.post(row(1, 2)).Code)
	})
}

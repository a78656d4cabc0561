package server_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server"
)

func TestDraining(t *testing.T) {
	limits := func(c *server.Config) { c.DrainDelay, c.DrainTimeout = time.Second, 5*time.Second }
	t.Run("readiness drops at once, requests are still answered, connections are let go", func(t *testing.T) {
		serve(t, fake.Config{PerItem: ms}, limits, func(t *testing.T, w *world) {
			w.warm()
			w.stop()
			synctest.Wait()
			assert.Equal(t, http.StatusServiceUnavailable, w.get("/v2/health/ready").Code)
			assert.Equal(t, http.StatusOK, w.get("/v2/health/live").Code)
			r := w.post(row(1, 2))
			assert.Equal(t, http.StatusOK, r.Code)
			assert.Equal(t, "close", r.Header().Get("Connection"))
			assert.NoError(t, <-w.ended)
			r = w.post(row(1, 2))
			assert.Equal(t, http.StatusServiceUnavailable, r.Code)
			assert.Equal(t, "server is shutting down", errorOf(t, r))
		})
	})
	t.Run("a run that does not end bounds nothing but itself", func(t *testing.T) {
		stuck := false
		before := func([]serving.Tensor) error {
			if stuck {
				time.Sleep(time.Hour)
			}
			return nil
		}
		serve(t, fake.Config{PerItem: ms, Before: before}, limits, func(t *testing.T, w *world) {
			w.warm()
			stuck = true
			go w.post(row(1, 2))
			synctest.Wait()
			began := time.Now()
			w.stop()
			assert.ErrorContains(t, <-w.ended, "drain: requests in flight did not finish")
			assert.Equal(t, 6*time.Second, time.Since(began))
			time.Sleep(time.Hour) // the run ends, and with it the server's goroutines
		})
	})
	t.Run("a server that is not warm yet stops between two runs", func(t *testing.T) {
		serve(t, fake.Config{Fixed: time.Minute}, limits, func(t *testing.T, w *world) {
			synctest.Wait()
			w.stop()
			assert.ErrorContains(t, <-w.ended, "drain: requests in flight did not finish")
			time.Sleep(time.Minute)
			assert.Equal(t, int64(1), w.model.Runs())
		})
		serve(t, fake.Config{Fixed: time.Second}, limits, func(t *testing.T, w *world) {
			synctest.Wait()
			w.stop()
			assert.NoError(t, <-w.ended)
			assert.Equal(t, int64(1), w.model.Runs())
		})
	})
}

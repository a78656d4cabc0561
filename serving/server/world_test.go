package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/server"
)

const ms = time.Millisecond

// quiet is a listener on which nobody ever calls.
type quiet struct{ closed chan struct{} }

func newQuiet() quiet                     { return quiet{make(chan struct{})} }
func (q quiet) Accept() (net.Conn, error) { <-q.closed; return nil, net.ErrClosed }
func (q quiet) Close() error              { close(q.closed); return nil }
func (quiet) Addr() net.Addr              { return &net.TCPAddr{} }

// world is a server under virtual time.
type world struct {
	t       *testing.T
	model   *fake.Model
	server  *server.Server
	handler http.Handler
	stop    context.CancelFunc
	ended   chan error
}

// serve starts a server in a bubble of virtual time and gives it to the story.
func serve(t *testing.T, cost fake.Config, change func(*server.Config), story func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		model, err := fake.New(2, cost)
		require.NoError(t, err)
		c := server.Config{Model: "m", Version: "1", Backend: model, Listener: newQuiet(), MaxBatch: 4, Capacity: 8}
		if change != nil {
			change(&c)
		}
		s, err := server.New(c)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		w := &world{t: t, model: model, server: s, handler: s.Handler(), stop: stop, ended: make(chan error, 1)}
		go func() { w.ended <- s.Run(ctx); close(w.ended) }()
		defer func() {
			stop()
			for range w.ended {
			}
		}()
		story(t, w)
	})
}

// warm waits until the server is ready.
func (w *world) warm() {
	time.Sleep(2 * time.Second) // of virtual time
	require.Equal(w.t, http.StatusOK, w.get("/v2/health/ready").Code)
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	return w.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (w *world) post(body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return w.do(r)
}

// row is a request of one row.
func row(a, b int) string {
	return fmt.Sprintf(`{"inputs":[{"name":"in","datatype":"INT32","shape":[1,2],"data":[%d,%d]}]}`, a, b)
}

func errorOf(t *testing.T, r *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Error string `json:"error"`
	}
	require.NoError(t, json.Unmarshal(r.Body.Bytes(), &body), r.Body.String())
	require.NotEmpty(t, body.Error)
	return body.Error
}

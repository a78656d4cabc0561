package envoy

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
)

func TestAMirrorIsStampedAndUsersNeverSeeIt(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	shadows := make(chan http.Header, 100)
	cfg.Routes[0].Versions[1].Endpoints[0] = Server(t, func(w http.ResponseWriter, r *http.Request) {
		shadows <- r.Header
		w.WriteHeader(http.StatusInternalServerError)
	})
	s.Publish(cfg, map[config.Key]config.Split{filetype: {
		Epoch: 9, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: config.WholeSplit},
	}})
	s.Acked(filetype, 9)
	for range 20 {
		resp, body := s.Get("filetype.ml", "/")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "v1", body)
		shadow := await.Next(t, shadows, "a copy")
		require.Equal(t, "v2@9", shadow.Get("x-sluice-shadow"))
		require.Equal(t, "v1@9", shadow.Get("x-sluice-arm"), "the live arm")
		require.Equal(t, resp.Header.Get("x-request-id"), shadow.Get("x-request-id"), "the copies are joined by it")
	}
}

func TestClientsCannotSetStamps(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	seen := make(chan http.Header, 1)
	cfg.Routes[0].Versions[0].Endpoints[0] = Server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-sluice", "v9@9")
		seen <- r.Header
	})
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	req := s.Request("filetype.ml", "/")
	req.Header.Set("x-sluice-shadow", "v9@9")
	req.Header.Set("x-sluice-arm", "v9@9")
	req.Header.Set("x-request-id", "mine")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	header := await.Next(t, seen, "the request")
	require.Empty(t, header.Values("x-sluice-shadow"))
	require.Equal(t, []string{"v1@1"}, header.Values("x-sluice-arm"))
	require.NotEqual(t, "mine", header.Get("x-request-id"), "one id is one request")
	require.Equal(t, []string{"v1@1"}, resp.Header.Values("x-sluice"))
}

// A shadow that hangs is cut off at its own limit: live requests to the same
// version have another.
func TestAHangingShadowCostsLiveRequestsNothing(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	var hanging, most atomic.Int64
	cfg.Routes[0].Versions[1].Endpoints[0] = Server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-sluice-shadow") == "" {
			_, _ = io.WriteString(w, "v2")
			return
		}
		n := hanging.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-release
		hanging.Add(-1)
	})
	t.Cleanup(free) // before the server closes
	s.Publish(cfg, map[config.Key]config.Split{filetype: {
		Epoch: 2, Shares: config.Carve("v1", "v2", 5000, 0), Mirror: config.Share{Version: "v2", Weight: config.WholeSplit},
	}})
	s.Acked(filetype, 2)
	served := map[string]int{}
	for range 300 {
		resp, body := s.Get("filetype.ml", "/")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		served[body]++
	}
	require.Greater(t, served["v2"], 100, "live requests to the version that hangs for shadows")
	require.LessOrEqual(t, most.Load(), int64(40), "32, and what two workers may count past each other")
	require.Positive(t, most.Load())
	free()
}

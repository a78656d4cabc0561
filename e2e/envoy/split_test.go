package envoy

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

var filetype = config.Key{Namespace: "ml", Name: "filetype"}

// twoVersions is an inference route with versions v1 and v2 that answer with
// their names.
func twoVersions(t *testing.T, s *Stage, k config.Key, hosts ...string) *config.Config {
	return &config.Config{Routes: []config.InferenceRoute{{Key: k, RouteSpec: config.RouteSpec{
		Hostnames: hosts,
		Listener:  config.Listener{Port: s.Port},
		Mirroring: config.MirroringAllowed,
		Versions: []config.Version{
			{Name: "v1", Endpoints: []string{Model(t, "v1")}},
			{Name: "v2", Endpoints: []string{Model(t, "v2")}},
		},
	}}}}
}

func TestASplitIsServedByWeightAndStamped(t *testing.T) {
	s := NewStage(t)
	s.Publish(twoVersions(t, s, filetype, "filetype.ml"), map[config.Key]config.Split{
		filetype: {Epoch: 7, Shares: config.Carve("v1", "v2", 3000, 8000)},
	})
	s.Acked(filetype, 7)

	const requests = 2000
	served := map[string]int{}
	for range requests {
		resp, body := s.Get("filetype.ml", "/x")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, body+"@7", resp.Header.Get("x-sluice"))
		served[body]++
	}
	require.InDelta(t, 0.3, float64(served["v2"])/requests, 0.05, "share of v2")
}

func TestHostnamesAreMatchedWithoutPortAndCase(t *testing.T) {
	s := NewStage(t)
	s.Publish(twoVersions(t, s, filetype, "FileType.ml"), map[config.Key]config.Split{filetype: {Epoch: 1, Shares: config.Whole("v1")}})
	s.Acked(filetype, 1)
	for _, host := range []string{"filetype.ml", "FILETYPE.ml", "filetype.ml:8080", "FileType.ML:80"} {
		resp, _ := s.Get(host, "/")
		require.Equal(t, http.StatusOK, resp.StatusCode, host)
	}
	resp, _ := s.Get("other.ml", "/")
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}

package envoy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestRequestsAreToldWithTheUnitThatTheyWereDividedBy(t *testing.T) {
	s := NewStage(t)
	log := s.requests()
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	epoch := uint64(0)
	stick := func(sticky *config.Stickiness) {
		epoch++
		cfg.Routes[0].Stickiness = sticky
		s.Publish(cfg, splitOf(filetype, epoch, config.Whole("v1")))
		s.Acked(filetype, epoch)
	}
	// told sends a request with headers and gives its unit, its id and the cookie it got.
	told := func(headers map[string]string) (unit, id, cookie string) {
		req := s.Request("filetype.ml", "/v2/x")
		req.Header.Set("X-Sluice-Unit", "forged")
		for header, value := range headers {
			req.Header.Set(header, value)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		r := log.next()
		require.Equal(t, resp.Header.Get("X-Request-Id"), r.ID)
		name, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return r.Unit, r.ID, strings.TrimPrefix(name, "unit=")
	}

	stick(nil)
	unit, _, _ := told(map[string]string{"X-User-Id": "alice"})
	require.Empty(t, unit, "nothing divides by units")

	stick(&config.Stickiness{Header: "x-user-id"})
	unit, _, _ = told(map[string]string{"X-User-Id": "alice"})
	require.Equal(t, "alice", unit)
	unit, _, _ = told(nil)
	require.Empty(t, unit, "a request without the header is drawn by itself")

	stick(&config.Stickiness{ClientAddress: &config.ClientAddress{}})
	unit, _, _ = told(nil)
	require.Equal(t, "127.0.0.1", unit)

	stick(&config.Stickiness{Cookie: &config.UnitCookie{Name: "unit"}})
	unit, id, cookie := told(nil)
	require.Equal(t, id, unit, "a new client's unit is its first request")
	require.Equal(t, id, cookie)
	unit, _, _ = told(map[string]string{"Cookie": "other=1; unit=" + cookie})
	require.Equal(t, cookie, unit)
}

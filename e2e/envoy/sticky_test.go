package envoy

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

const (
	units  = 2000
	offset = 6000 // of the candidate's interval, for the first rollout
)

// cohort is which unit got v2.
type cohort [units]bool

func (c cohort) share() float64 {
	n := 0
	for _, in := range c {
		if in {
			n++
		}
	}
	return float64(n) / units
}

// notIn counts the units of c that another cohort lacks.
func (c cohort) notIn(other cohort) (n int) {
	for i, in := range c {
		if in && !other[i] {
			n++
		}
	}
	return n
}

// askUnits gives every unit one request, told by tell, and says who got v2.
func (s *Stage) askUnits(tell func(unit int, req *http.Request), told func(unit int, resp *http.Response)) (c cohort) {
	s.t.Helper()
	for unit := range units {
		req := s.Request("filetype.ml", "/")
		tell(unit, req)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(s.t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, resp.Body.Close())
		require.Equal(s.t, http.StatusOK, resp.StatusCode)
		c[unit] = string(body) == "v2"
		told(unit, resp)
	}
	return c
}

func nothingTold(int, *http.Response) {}

func byHeader(unit int, req *http.Request) {
	req.Header.Set("x-user-id", fmt.Sprintf("user-%d", unit))
}

// stickyStage serves filetype with stickiness, and gives a way to publish a share
// at an offset and wait until Envoy has it.
func stickyStage(t *testing.T, sticky config.Stickiness) (*Stage, func(weight, offset uint32)) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Stickiness = &sticky
	epoch := uint64(0)
	return s, func(weight, offset uint32) {
		epoch++
		s.Publish(cfg, splitOf(filetype, epoch, config.Carve("v1", "v2", weight, offset)))
		s.Acked(filetype, epoch)
	}
}

func TestUnitsInAHeaderOnlyMoveAsTheShareMoves(t *testing.T) {
	s, publish := stickyStage(t, config.Stickiness{Header: "x-user-id"})
	ask := func() cohort { return s.askUnits(byHeader, nothingTold) }
	up := map[uint32]cohort{}
	var last cohort
	for _, weight := range []uint32{500, 1000, 2500, 5000} {
		publish(weight, offset)
		up[weight] = ask()
		require.Zero(t, last.notIn(up[weight]), "moved back when the share grew to %d", weight)
		require.InDelta(t, float64(weight)/config.WholeSplit, up[weight].share(), 0.04)
		last = up[weight]
	}
	for _, weight := range []uint32{2500, 500} {
		publish(weight, offset)
		require.Equal(t, up[weight], ask(), "on the way back to %d", weight)
	}

	s.StopEnvoy()
	s.Forget()
	s.StartEnvoy(xds.BootstrapConfig{NodeID: "envoy-1"})
	s.Ready()
	publish(2500, offset)
	require.Equal(t, up[2500], ask(), "after a restart")

	publish(2500, 0)
	require.Zero(t, common(up[2500], ask()), "another offset starts with other units")

	publish(0, offset)
	require.Zero(t, count(ask()), "after a rollback nobody stays behind")
}

func count(c cohort) int { return c.notIn(cohort{}) }

func common(a, b cohort) int { return count(a) - a.notIn(b) }

func TestUnitsInACookieAreGivenOnceAndOnlyMoveAsTheShareMoves(t *testing.T) {
	s, publish := stickyStage(t, config.Stickiness{Cookie: &config.UnitCookie{Name: "unit%", TTL: config.Duration(3600e9)}})
	var cookies [units]*http.Cookie
	tell := func(unit int, req *http.Request) {
		if cookies[unit] != nil {
			req.AddCookie(cookies[unit])
		}
	}
	ask := func() cohort {
		return s.askUnits(tell, func(_ int, resp *http.Response) {
			require.Empty(t, resp.Cookies(), "a client that has a unit keeps it")
		})
	}

	publish(500, offset)
	first := s.askUnits(tell, func(unit int, resp *http.Response) {
		given := resp.Cookies()
		require.Len(t, given, 1)
		require.Equal(t, "unit%", given[0].Name)
		require.Equal(t, resp.Header.Get("x-request-id"), given[0].Value)
		require.Equal(t, 3600, given[0].MaxAge)
		require.True(t, given[0].HttpOnly)
		cookies[unit] = given[0]
	})
	require.Equal(t, first, ask(), "the second request goes where the first did")

	last := first
	for _, weight := range []uint32{1000, 2500, 5000} {
		publish(weight, offset)
		now := ask()
		require.Zero(t, last.notIn(now), "moved back when the share grew to %d", weight)
		require.InDelta(t, float64(weight)/config.WholeSplit, now.share(), 0.04)
		last = now
	}
	publish(500, offset)
	require.Equal(t, first, ask(), "on the way back")
}

func TestAVersionsOwnCookieStandsBesideTheUnit(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	cfg.Routes[0].Stickiness = &config.Stickiness{Cookie: &config.UnitCookie{Name: "unit"}}
	cfg.Routes[0].Versions[0].Endpoints = []string{Server(t, func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "own"})
	})}
	s.Publish(cfg, splitOf(filetype, 1, config.Whole("v1")))
	s.Acked(filetype, 1)
	resp, _ := s.Get("filetype.ml", "/")
	names := map[string]string{}
	for _, c := range resp.Cookies() {
		names[c.Name] = c.Value
	}
	require.Equal(t, map[string]string{"session": "own", "unit": resp.Header.Get("x-request-id")}, names)
}

// An A/B test divides users by fixed shares; what its arms' pods do moves nobody
// between the arms that stay.
func TestArmsOfATestKeepTheirUsers(t *testing.T) {
	s := NewStage(t)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	spec := &cfg.Routes[0].RouteSpec
	spec.Versions = append(spec.Versions, config.Version{Name: "v3", Endpoints: []string{Model(t, "v3")}})
	spec.Stickiness = &config.Stickiness{Header: "x-user-id"}
	spec.Strategy.ABTest = &config.ABTest{Arms: map[string]config.Percent{"v1": 500_000, "v2": 300_000, "v3": 200_000}, Reference: "v1"}
	state := canary.State{}
	ask := func(epoch uint64) cohort {
		state.Published.Epoch = epoch
		s.Publish(cfg, map[config.Key]config.Split{filetype: state.Split(*spec)})
		s.Acked(filetype, epoch)
		return s.askUnits(byHeader, nothingTold)
	}
	whole := ask(1)
	require.InDelta(t, 0.3, whole.share(), 0.04)
	state.Ready = map[string]int{"v3": 0}
	require.Equal(t, whole, ask(2), "users of v2, while v1 takes in those of v3")
	state.Ready = map[string]int{"v1": 0}
	alone := ask(3)
	require.Zero(t, whole.notIn(alone), "users of v2, which takes in those of v1")
	require.InDelta(t, 0.8, alone.share(), 0.04)
	state.Ready = nil
	require.Equal(t, whole, ask(4))
}

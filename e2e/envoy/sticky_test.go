package envoy

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// The full figure, 20,000, is `make soak`.
var units = flag.Int("sticky.units", 600, "units of the stories about stickiness")

const offset = 6000 // of the candidate's interval, for the first rollout

// cohort is which unit got v2.
type cohort []bool

func (c cohort) share() float64 { return float64(count(c)) / float64(len(c)) }

// notIn counts the units of c that another cohort lacks.
func (c cohort) notIn(other cohort) (n int) {
	for i, in := range c {
		if in && !other[i] {
			n++
		}
	}
	return n
}

func count(c cohort) (n int) {
	for _, in := range c {
		if in {
			n++
		}
	}
	return n
}

func common(a, b cohort) int { return count(a) - a.notIn(b) }

// tolerance is how far a share of so many units may be off: a point of 20,000, and of
// few, by whose hashes chance draws, five standard deviations.
func tolerance(units int) float64 {
	if units >= 20_000 {
		return 0.01
	}
	return 2.5 / math.Sqrt(float64(units))
}

// population is clients that are told apart by something.
type population struct {
	units  int
	client func(unit int) *http.Client // nil: one for all
	tell   func(unit int, req *http.Request)
	told   func(unit int, resp *http.Response) error
}

// askUnits gives every unit one request, several at a time, and says who got v2.
func (s *Stage) askUnits(p population) cohort {
	s.t.Helper()
	const workers = 8
	c := make(cohort, p.units)
	var errs [workers]error
	var asking sync.WaitGroup
	for w := range workers {
		asking.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for unit := w; unit < p.units && errs[w] == nil; unit += workers {
				if p.client != nil {
					client = p.client(unit)
				}
				c[unit], errs[w] = s.askUnit(p, client, unit)
			}
		})
	}
	asking.Wait()
	require.NoError(s.t, errors.Join(errs[:]...))
	return c
}

func (s *Stage) askUnit(p population, client *http.Client, unit int) (second bool, err error) {
	req := s.Request("filetype.ml", "/")
	if p.tell != nil {
		p.tell(unit, req)
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("unit %d: %s", unit, resp.Status)
	case p.told != nil:
		err = p.told(unit, resp)
	}
	return string(body) == "v2", err
}

func byHeader() population {
	return population{units: *units, tell: func(unit int, req *http.Request) {
		req.Header.Set("x-user-id", fmt.Sprintf("user-%d", unit))
	}}
}

// byCookie keeps the cookie that it is given, and is given one once.
func byCookie() population {
	cookies := make([]*http.Cookie, *units)
	return population{
		units: *units,
		tell: func(unit int, req *http.Request) {
			if cookies[unit] != nil {
				req.AddCookie(cookies[unit])
			}
		},
		told: func(unit int, resp *http.Response) error {
			given := resp.Cookies()
			switch had := cookies[unit] != nil; {
			case had && len(given) == 0:
				return nil
			case had || len(given) != 1:
				return fmt.Errorf("unit %d: was given %v; it had one: %t", unit, given, had)
			}
			is := given[0]
			if is.Name != "unit%" || is.Value != resp.Header.Get("x-request-id") || is.MaxAge != 3600 || !is.HttpOnly {
				return fmt.Errorf("unit %d: was given %v", unit, is)
			}
			cookies[unit] = is
			return nil
		},
	}
}

// byAddress is clients from other addresses of this machine, on a new connection each time.
func byAddress() population {
	return population{units: *units / 4, client: func(unit int) *http.Client {
		from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(1+unit/250), byte(1+unit%250))}
		return &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: from}).DialContext, DisableKeepAlives: true}}
	}}
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

// Whatever tells units apart: their share is as declared, a growing one moves nobody
// back, a shrinking one moves those who came last, another Envoy divides them alike, and
// another offset starts with others.
func TestUnitsOnlyMoveAsTheShareMoves(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sticky config.Stickiness
		units  func() population
	}{
		{"header", config.Stickiness{Header: "x-user-id"}, byHeader},
		{"cookie", config.Stickiness{Cookie: &config.UnitCookie{Name: "unit%", TTL: config.Duration(3600e9)}}, byCookie},
		{"address", config.Stickiness{ClientAddress: &config.ClientAddress{}}, byAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, publish := stickyStage(t, tt.sticky)
			p := tt.units()
			ask := func() cohort { return s.askUnits(p) }
			publish(500, offset)
			up := map[uint32]cohort{500: ask()}
			require.Equal(t, up[500], ask(), "the second request goes where the first did")
			last := up[500]
			for _, weight := range []uint32{500, 1000, 2500, 5000} {
				publish(weight, offset)
				up[weight] = ask()
				require.Zero(t, last.notIn(up[weight]), "moved back when the share grew to %d", weight)
				require.InDelta(t, float64(weight)/config.WholeSplit, up[weight].share(), tolerance(p.units))
				t.Logf("%d units: share %.2f %% at weight %d", p.units, 100*up[weight].share(), weight)
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
		})
	}
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
		return s.askUnits(byHeader())
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

package analysis

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/config"
)

// crowd is users whom the split keeps with an arm: user u is the candidate's where the
// hash says so. Some users' requests fail nearly always, whoever answers.
type crowd struct {
	rng    *rand.Rand
	users  int
	awful  float64 // share of users nearly all of whose requests fail
	base   float64 // errors of the others, at stable
	broken float64 // and at the candidate
	heavy  float64 // share of all requests that user 0 sends
	seed   uint64
	share  func(at time.Duration) uint32
}

func (c crowd) candidate(user int, share uint32) bool {
	return unit(c.seed<<20+uint64(user)) < float64(share)/1e4
}

func (c crowd) fails(user int, candidate bool) float64 {
	switch {
	case unit(c.seed<<40+uint64(user)) < c.awful:
		return 0.9
	case candidate:
		return c.broken
	}
	return c.base
}

func (c crowd) window(index int64, rps float64) Closed {
	share := c.share(time.Duration(index) * WindowLength)
	stable, candidate := windowOf(index, "v1", uint64(share), "a:1", 0, 0), windowOf(index, "v2", uint64(share), "b:1", 0, 0)
	for range poisson(c.rng, rps*WindowLength.Seconds()) {
		user := c.rng.IntN(c.users)
		if c.rng.Float64() < c.heavy {
			user = 0
		}
		w, is := &stable, c.candidate(user, share)
		if is {
			w = &candidate
		}
		r := Request{Unit: fmt.Sprintf("user-%d", user), Duration: ms(10)}
		if c.rng.Float64() < c.fails(user, is) {
			r.Outcome = Failed
		}
		w.count(r, 0, 0)
	}
	return Closed{Windows: []Window{stable, candidate}, Shares: map[uint64]uint32{uint64(share): share}}
}

func (c crowd) judged(p config.PolicySpec, e Evidence, rps float64, whole time.Duration) Assessment {
	var a Assessment
	for index := range int64(whole / WindowLength) {
		e = e.Update(p, c.window(index, rps))
		if index%4 == 3 {
			if a = Judge(p, e, time.Unix(0, 0)); a.Verdict == Harmful {
				return a
			}
		}
	}
	return a
}

func TestUsersWhoseRequestsAlwaysFailBlameNoVersion(t *testing.T) {
	const runs = 60
	p := boundaryPolicy()
	byUnit, byRequest := 0, 0
	for seed := range uint64(runs) {
		for _, units := range []bool{true, false} {
			c := crowd{rng: rand.New(rand.NewPCG(seed, 8)), seed: seed + 1, users: 100, awful: 0.05, base: 0.002, broken: 0.002, share: always[uint32](1000)}
			e, n := NewEvidence(p, testArms()), &byRequest
			if units {
				e, n = e.ByUnit(), &byUnit
			}
			if a := c.judged(p, e, 40, 3*time.Minute); a.Verdict == Harmful {
				*n++
			}
		}
	}
	t.Logf("of %d, %d are blamed by unit, %d by request", runs, byUnit, byRequest)
	assert.LessOrEqual(t, byUnit, 6) // 5% and two standard deviations
	assert.Greater(t, byRequest, 12, "what units are for")
}

func TestAVersionThatFailsManyUsersIsFoundByUnit(t *testing.T) {
	p := boundaryPolicy()
	for seed := range uint64(10) {
		c := crowd{rng: rand.New(rand.NewPCG(seed, 8)), seed: seed + 1, users: 2000, awful: 0.01, base: 0.002, broken: 0.05, share: always[uint32](1000)}
		a := c.judged(p, NewEvidence(p, testArms()).ByUnit(), 200, 2*time.Minute)
		require.Equal(t, Harmful, a.Verdict, a.Reason)
		require.Equal(t, methodUnits, a.Why.Method)
		require.Contains(t, a.Reason, "errors unit-errors-versus-stable")
	}
}

func TestAUnitCountsOnce(t *testing.T) {
	p := fullPolicy()
	e := NewEvidence(p, testArms()).ByUnit()
	for index := range int64(40) {
		w := windowOf(index, "v2", 1, "b:1", 0, 0)
		for range 5 {
			w.count(Request{Unit: "user-1", Outcome: Failed}, 0, 0)
			w.count(Request{Unit: "user-2", Outcome: ClientFault}, 0, 0)
		}
		s := windowOf(index, "v1", 1, "a:1", 0, 0)
		s.count(Request{Unit: "user-3"}, 0, 0)
		e = e.Update(p, Closed{Windows: []Window{w, s}, Shares: map[uint64]uint32{1: 5000}})
	}
	require.Equal(t, rate{N: 2, Bad: 1}, e.Units.Arms[ofCandidate].Units, "two users, one of whom failed")
	require.Equal(t, rate{N: 2, Bad: 1}, e.Units.Arms[ofCandidate].Clients)
	require.Equal(t, []share{{Epoch: 1, Declared: 5000, Stable: 1, Candidate: 2}}, e.Shares.Open, "of three users, two")
	require.Equal(t, rate{N: 200, Bad: 200}, e.Candidate, "people are shown requests")
	require.Equal(t, rate{N: 5, Bad: 1}, e.Limits[0].Candidate, "all that counts before the first failure, and it")
	for _, test := range Judge(p, e, time.Unix(0, 0)).Tests {
		if test.Metric == "errors" && test.Direction == directionRollback && test.Method == methodUnits {
			require.Contains(t, test.Idle, "fewer than 3 errors: 1")
		}
	}
}

// A hash draws each user once, so the share of requests is off for good where users
// send unequally much, and the share of users is not.
func TestAHeavyUserIsNoWrongSplit(t *testing.T) {
	p := fullPolicy()
	for _, units := range []bool{true, false} {
		c := crowd{rng: rand.New(rand.NewPCG(1, 8)), seed: 3, users: 4000, heavy: 0.3, share: always[uint32](500)}
		require.False(t, c.candidate(0, 500))
		e := NewEvidence(p, testArms())
		if units {
			e = e.ByUnit()
		}
		a := c.judged(p, e, 200, time.Minute)
		assert.Equal(t, !units, a.Why.Kind == WhySplit, a.Reason)
	}
}

func TestFewUsersTimesAreNotCompared(t *testing.T) {
	p := fullPolicy()
	idle := func(users int) (all []string) {
		c := crowd{rng: rand.New(rand.NewPCG(1, 8)), seed: 1, users: users, share: always[uint32](5000)}
		a := c.judged(p, NewEvidence(p, testArms()).ByUnit(), 200, time.Minute)
		for _, test := range a.Tests {
			if test.Method == methodRank && test.Idle != "" {
				all = append(all, test.Idle)
			}
		}
		return all
	}
	assert.NotEmpty(t, idle(20))
	assert.Contains(t, idle(20)[0], "units of equal load, fewer than 30")
	assert.Empty(t, idle(500))
}

// anyUnits gives windows' requests to units and segments.
func anyUnits(t *rapid.T, ws []Window) {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "units"), 1))
	for i := range ws {
		w := &ws[i]
		ok, bad, left, refused := w.Requests-w.Errors, w.Errors, w.Abandoned, w.ClientErrors
		for _, part := range []struct {
			n  int64
			is UnitCount
		}{{ok, UnitCount{Requests: 1}}, {bad, UnitCount{Requests: 1, Errors: 1}}, {left, UnitCount{Abandoned: 1}}, {refused, UnitCount{ClientErrors: 1}}} {
			for range part.n {
				c := part.is
				c.Place, c.Segment = Place(rng.IntN(40)), []string{"", "x", "y"}[rng.IntN(3)]
				if c.Place >= 30 { // it has none
					c.Place = 0
				} else {
					w.Units.add(c)
				}
				if c.Segment != "" && c.Requests > 0 {
					w.Segments.add(SegmentCount{Name: c.Segment, Requests: c.Requests, Errors: c.Errors})
				}
			}
		}
	}
}

// cut halves what units and segments have.
func cut(rng *rand.Rand, w Window, a, b *Window) {
	a.Units, b.Units, a.Segments, b.Segments = nil, nil, nil, nil
	for _, u := range w.Units {
		to := []*Window{a, b}[rng.IntN(2)]
		to.Units.add(u)
	}
	for _, s := range w.Segments {
		to := []*Window{a, b}[rng.IntN(2)]
		to.Segments.add(s)
	}
}

func TestEvidenceByUnitIsTheSameHoweverWindowsWereGrouped(t *testing.T) {
	p := fullPolicy()
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWindows(t)
		anyUnits(t, ws)
		first := NewEvidence(p, testArms()).Segmented(5).ByUnit()
		fresh := bytesOf(t, first)
		whole := first.Update(p, Closed{Windows: ws, Shares: declaredShares()})
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "grouping"), 1))
		e := first
		for len(ws) > 0 {
			n := 1 + rng.IntN(len(ws))
			for n < len(ws) && ws[n].Index == ws[n-1].Index {
				n++
			}
			var parts []Window
			for _, w := range ws[:n] {
				a, b := halved(rng, w)
				cut(rng, w, &a, &b)
				parts = append(parts, a, b)
			}
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			e = e.Update(p, Closed{Windows: parts, Shares: declaredShares()})
			ws = ws[n:]
		}
		require.Equal(t, bytesOf(t, whole), bytesOf(t, e))
		require.Equal(t, fresh, bytesOf(t, first), "an update leaves the old evidence alone")
		var loaded Evidence
		require.NoError(t, json.Unmarshal([]byte(bytesOf(t, e)), &loaded))
		require.Equal(t, Judge(p, e, time.Unix(1, 0)), Judge(p, loaded, time.Unix(1, 0)))
	})
}

func TestOneUserTripsNothing(t *testing.T) {
	for users, trips := range map[int]bool{1: false, 20: true} {
		b := newBench(fullPolicy(), 5000)
		b.watch.ByUnit()
		b.pass(20*time.Second, 100, nil)
		b.pass(20*time.Second, 100, func(i int) {
			r := b.request("v2", "b:1", ms(10), Failed)
			r.Unit = fmt.Sprint(i % users)
			b.watch.Add(r)
			if i%10 == 0 { // somebody else's
				ok := b.request("v2", "b:1", ms(40), Succeeded)
				ok.Unit = fmt.Sprint(1000 + i)
				b.watch.Add(ok)
			}
		})
		assert.Equal(t, trips, b.tripped != nil, "%d users", users)
	}
}

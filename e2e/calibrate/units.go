package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// crowd is users whom a split keeps with an arm by their hash. They send as Zipf has
// it, the first most, and some of them nearly nothing but what fails, whoever answers.
type crowd struct {
	rng       *rand.Rand
	zipf      *rand.Zipf
	of        []float64 // each user's place in [0, 1), which the candidate has from 0 up to its share
	awful     []bool
	candidate float64 // error rate of the others' requests there; at stable it is .2%
	share     func(at time.Duration) uint32
}

func newCrowd(seed uint64, users int, candidate float64, whole time.Duration) *crowd {
	c := &crowd{rng: rand.New(rand.NewPCG(seed, 21)), candidate: candidate, share: ramp(whole)}
	c.zipf = rand.NewZipf(c.rng, 1.2, 20, uint64(users-1))
	for range users {
		c.of, c.awful = append(c.of, c.rng.Float64()), append(c.awful, c.rng.Float64() < .02)
	}
	return c
}

func (c *crowd) window(index int64, perWindow float64) analysis.Closed {
	share := c.share(time.Duration(index) * analysis.WindowLength)
	stable, candidate := countsOf(index, "v1", share, 0), countsOf(index, "v2", share, 0)
	for range poisson(c.rng, perWindow) {
		user := c.zipf.Uint64()
		w, rate := &stable, .002
		if c.of[user] < float64(share)/1e4 {
			w, rate = &candidate, c.candidate
		}
		if c.awful[user] {
			rate = .9
		}
		one := analysis.Window{Requests: 1, Units: analysis.UnitCounts{{Place: analysis.PlaceOf(fmt.Sprint(user)), Requests: 1}}}
		if c.rng.Float64() < rate {
			one.Errors, one.Units[0].Errors = 1, 1
		}
		w.Merge(one)
	}
	return analysis.Closed{Windows: []analysis.Window{stable, candidate}, Shares: map[uint64]uint32{uint64(share): share}}
}

// blamed is the first look, one a second, at which the candidate is taken for harmful.
func (c *crowd) blamed(p config.PolicySpec, e analysis.Evidence, perWindow float64, whole time.Duration) float64 {
	s := sequential{p: p, e: e}
	for index := range int64(whole / analysis.WindowLength) {
		s.update(c.window(index, perWindow))
		if index%4 == 3 && s.judge().Verdict == analysis.Harmful {
			return seconds(index)
		}
	}
	return math.Inf(1)
}

// stickyUsers is how often an equal version is blamed where users stay with an arm and
// some fail always, by unit and by request; and how soon a harmful one is found.
func stickyUsers() []experiment {
	const whole = 10 * time.Minute
	p := versusPolicy(1, 2)
	p.Confidence.FalseRollback = 50_000
	var all []experiment
	for _, users := range []int{100, 1000, 10_000} {
		for _, c := range []struct {
			how  string
			in   func(analysis.Evidence) analysis.Evidence
			most float64
		}{
			{"by user", analysis.Evidence.ByUnit, .05},
			{"by request", func(e analysis.Evidence) analysis.Evidence { return e }, 0},
		} {
			all = append(all, experiment{
				table: "H2", runs: 1000,
				what: fmt.Sprintf("equal, %d sticky users, 2%% of whom fail nearly always, ramp, no tolerance, %s: rolled back at 5%%", users, c.how),
				once: func(seed uint64, _ engines) float64 {
					return newCrowd(seed, users, .002, whole).blamed(p, c.in(analysis.NewEvidence(p, arms())), 10, whole)
				},
				want: []want{{of: found, published: none(), most: c.most}},
			})
		}
	}
	for _, users := range []int{1000, 10_000} {
		all = append(all, experiment{
			table: "H3", unit: "s", runs: 200,
			what: fmt.Sprintf("errors .2%% to 5%%, %d sticky users, 2%% of whom fail nearly always, 40 rps, ramp, no tolerance, by user, alpha .05", users),
			once: func(seed uint64, _ engines) float64 {
				return newCrowd(seed, users, .05, whole).blamed(p, analysis.NewEvidence(p, arms()).ByUnit(), 10, whole)
			},
			want: []want{{of: median, published: none()}, {of: ninety5, published: none()}},
		})
	}
	return all
}

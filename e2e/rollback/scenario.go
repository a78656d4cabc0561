package main

import (
	"fmt"
	"time"
)

// scenario is a bad version, the traffic that meets it, and what is wanted.
type scenario struct {
	Name  string
	About string
	Peers string // what other controllers took, measured in the same scenario

	Runs   int     // unless another number is asked for
	Rate   float64 // users' requests per second
	Errors float64 // of stable: share of requests that fail
	Fault  fault   // of the candidate
	Goals  []goal
}

// fault is what is wrong with a candidate.
type fault struct {
	After  time.Duration // from its first request on
	Errors float64       // share of requests that fail
	Slower float64       // factor of the service time; 0: as stable
}

// goal is a limit on one figure of all runs.
type goal struct {
	Figure string // exposure or failed
	Of     string // median or max
	Most   float64
}

// Figures that goals are about.
const (
	exposure = "exposure" // seconds from the first candidate request (or the fault) to the last
	failed   = "failed"   // users' requests that failed meanwhile
)

// Statistics that goals are about.
const (
	median = "median"
	worst  = "max"
)

// scenarios are those of the race. Every one begins with 5% for the candidate,
// and is judged by the built-in policy.
func scenarios() []scenario {
	return []scenario{
		{
			Name: "S1", About: "every candidate request fails", Runs: 20, Rate: 50, Fault: fault{Errors: 1},
			Peers: "Flagger 19 s, 51 failed; Argo Rollouts 15 s, 38 failed; at hair-trigger 17 s and 3.7 s; as documented 6 and 11 min",
			Goals: []goal{{exposure, median, 1.5}, {exposure, worst, 5}, {failed, median, 4}},
		},
		{
			Name: "S1-late", About: "healthy for 15s, then every candidate request fails", Runs: 20, Rate: 50,
			Fault: fault{Errors: 1, After: 15 * time.Second},
			Peers: "Flagger 26 s, 189 failed; Argo Rollouts 12 s, 58 failed; as documented 20 min",
			Goals: []goal{{exposure, median, 2}, {failed, median, 10}},
		},
		{
			Name: "S2", About: "5% errors against 0.1%", Runs: 60, Rate: 200, Errors: 0.001, Fault: fault{Errors: 0.05},
			Peers: "Flagger 18 to 31 s, 14 to 34 failed; Argo Rollouts 12 to 14 s, 13 to 17 failed",
			Goals: []goal{{exposure, median, 10}, {failed, median, 20}},
		},
		{
			Name: "S3", About: "answers take twice as long", Runs: 20, Rate: 50, Fault: fault{Slower: 2},
			Peers: "Flagger 19 s, Argo Rollouts 13 s; both rolled back the version with nothing wrong, too",
			Goals: []goal{{exposure, median, 8}, {exposure, worst, 20}},
		},
	}
}

// busy is S1 on a machine with as many endless loops.
func busy(loops int) scenario {
	s := scenarios()[0]
	s.About += fmt.Sprintf(", beside %d endless loops", loops)
	s.Goals = []goal{{exposure, worst, 5}}
	s.Peers = "Argo Rollouts at hair-trigger 16 s"
	return s
}

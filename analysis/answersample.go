package analysis

import (
	"math"
	"sort"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// mostSample is where the search for a sample ends.
const mostSample = 10_000_000

// AnswersToBlame is how many compared answers are enough, in 19 of 20 cases, for a
// shadow to be harmful of whose answers a share differs; where stable is asked twice, if
// it always answers alike. 0: none are enough, or the policy compares no answers.
func AnswersToBlame(p config.PolicySpec, share float64) int64 {
	return leastSample(p, func(n int64) bool { return sampled(p, n, fewest(n, share)).Verdict == Harmful })
}

// AnswersToPass is how many compared answers are enough for a shadow to pass of whose
// answers none ever differs. 0: none are enough, or the policy compares no answers.
func AnswersToPass(p config.PolicySpec) int64 {
	return leastSample(p, func(n int64) bool { return sampled(p, n, 0).Answers.Proven })
}

// leastSample is the least number that is enough.
func leastSample(p config.PolicySpec, enough func(n int64) bool) int64 {
	if _, compared := p.Answers(); !compared || !enough(mostSample) {
		return 0
	}
	return int64(sort.Search(mostSample, func(n int) bool { return enough(int64(n)) }))
}

// sampled is the look at so many answers, of which some differ.
func sampled(p config.PolicySpec, n, differ int64) Assessment {
	m, _ := p.Answers()
	e, g := NewEvidence(p, Arms{}), newAnswerGrids(m)
	e.Answers.compare(&g, rate{N: n, Bad: differ})
	if m.Twice() {
		e.Answers.pair(&g, rate{N: differ, Bad: differ})
	}
	return Judge(p, e, time.Time{})
}

// fewest is how many of n independent answers differ at the least in 19 of 20 cases, if
// each does with a chance of share.
func fewest(n int64, share float64) int64 {
	mean := float64(n) * share
	const manyEnough = 200 // for the normal distribution
	if mean > manyEnough {
		return int64(mean - 1.645*math.Sqrt(mean*(1-share)) - 1)
	}
	chance, sum, k := math.Exp(float64(n)*math.Log1p(-share)), 0.0, int64(0)
	for ; k < n; k++ {
		if sum += chance; sum > 0.05 {
			break
		}
		chance *= float64(n-k) / float64(k+1) * share / (1 - share)
	}
	return k
}

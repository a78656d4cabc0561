package analysis

import (
	"math"
	"time"
)

// trailLength is how many seconds back a start point may lie.
const trailLength = 60

// trail is what the candidate did in each of the last seconds of request-start
// time, per pod.
type trail struct {
	seconds [trailLength]trailSecond
	begun   int64 // the first request's second; 0 before
}

type trailSecond struct {
	second int64
	all    tally
	pods   []podTally
}

type podTally struct {
	pod   string
	tally tally
}

func (t *trail) add(second int64, pod string, c tally) {
	at := &t.seconds[uint64(second)%trailLength]
	if at.second > second {
		return // older than the trail
	}
	if at.second < second {
		*at = trailSecond{second: second, pods: at.pods[:0]}
	}
	if t.begun == 0 || second < t.begun {
		t.begun = second
	}
	at.all = at.all.plus(c)
	for i := range at.pods {
		if at.pods[i].pod == pod {
			at.pods[i].tally = at.pods[i].tally.plus(c)
			return
		}
	}
	at.pods = append(at.pods, podTally{pod, c})
}

// everyPod leaves no pod out.
const everyPod = "\x00"

// at is what happened in a second, without one pod.
func (t *trail) at(second int64, s suspect, without string) rate {
	at := &t.seconds[uint64(second)%trailLength]
	if at.second != second {
		return rate{}
	}
	r := at.all[s]
	if without == everyPod {
		return r
	}
	for i := range at.pods {
		if at.pods[i].pod == without {
			r.N -= at.pods[i].tally[s].N
			r.Bad -= at.pods[i].tally[s].Bad
		}
	}
	return r
}

// since is what happened from a second on.
func (t *trail) since(second, now int64) tally {
	var sum tally
	for ; second <= now+clockSkew; second++ {
		if at := &t.seconds[uint64(second)%trailLength]; at.second == second {
			sum = sum.plus(at.all)
		}
	}
	return sum
}

// loudest is the pod with the most bad requests on the trail, the first by name of
// several, and how many pods served.
func (t *trail) loudest(s suspect, now int64) (pod string, pods int) {
	bad := map[string]int64{}
	for i := range t.seconds {
		if t.seconds[i].second <= now-trailLength {
			continue
		}
		for _, p := range t.seconds[i].pods {
			bad[p.pod] += p.tally[s].Bad
		}
	}
	most := int64(-1)
	for name, n := range bad {
		if n > most || n == most && name < pod {
			pod, most = name, n
		}
	}
	return pod, len(bad)
}

// mean is the log of the mean e-value over the start points, and the start point
// that says most.
type mean struct {
	logE  float64
	since int64
}

// mean adds up backwards from now. A mean that cannot reach the suspect's
// threshold may come as minus infinity.
func (w *Watch) mean(s suspect, now time.Time, without string) mean {
	var bad, n [trailLength]float64
	var sumBad, sumN float64
	starts, most := 0, mean{logE: math.Inf(-1)}
	wager, oldest := w.wagers[s], max(w.looked-trailLength+1, w.trail.begun)
	for second := w.looked + clockSkew; second >= oldest; second-- {
		c := w.trail.at(second, s, without)
		worth := min(1, s.pace()/float64(max(c.N, 1))) / w.phi[s]
		sumBad, sumN = sumBad+worth*float64(c.Bad), sumN+worth*float64(c.N)
		if second > w.looked-s.opening() {
			continue
		}
		bad[starts], n[starts] = sumBad, sumN+w.out(s, second, now)
		if best := wager.best(bad[starts], n[starts]); best > most.logE {
			most = mean{best, second}
		}
		starts++
	}
	if without == everyPod && most.logE < w.needed {
		return mean{logE: math.Inf(-1)}
	}
	logs := make([]float64, starts)
	for i := range logs {
		logs[i] = wager.logE(bad[i], n[i]) + startWeight(i, starts, oldest == w.trail.begun)
	}
	return mean{logSumExp(logs...), most.since}
}

// startWeight is the log of a start point's weight, of starts counted from the
// youngest. While the candidate is new, half of all weight is on its first moment:
// most of what is wrong with a version is wrong from the start (statistics §2a,
// change-point mixture).
func startWeight(i, starts int, fromBirth bool) float64 {
	switch {
	case !fromBirth || starts == 1:
		return -ln(float64(starts))
	case i == starts-1:
		return -ln(2)
	}
	return -ln(2 * float64(starts-1))
}

// out is how many good answers to requests started since a second are expected
// but not yet out: the candidate's requests per second, by stable's and the split,
// times how long an answer of stable's takes (Little, 1961). Without them fast
// failures would look like nothing but failures until the first slow success. For
// latency there are none to add: what is still out can only be a slow answer.
func (w *Watch) out(s suspect, second int64, now time.Time) float64 {
	if s != suspectErrors {
		return 0
	}
	elapsed := max(0, now.Sub(time.Unix(second, 0)).Seconds())
	return w.ratio * w.stable.rate() * min(elapsed, w.stable.mean().Seconds())
}

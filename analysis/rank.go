package analysis

import (
	"cmp"
	"slices"
)

// slopes is the number of alternatives of a rank test.
const slopes = 5

// slopesOf lists how strongly an alternative pulls the candidate's pods to the
// top: hardly to nearly always. research: statistics §2b.
func slopesOf() [slopes]float64 { return [slopes]float64{.5, 1, 2, 4, 8} }

// rank is the evidence that the candidate's pods are the slow ones, block by
// block: if pods are alike but for their version, the candidate's are any of
// them. One pod against another makes it the block sign test.
type rank struct {
	Harm [slopes]nats `json:"harm"` // the candidate is slower than tolerated
	Safe [slopes]nats `json:"safe"` // the candidate is faster than the margin

	Blocks    int64 `json:"blocks"`
	Stable    rate  `json:"stable"`    // requests slower than stable's own quantile
	Candidate rate  `json:"candidate"` // requests slower than that by more than is tolerated
}

// logMean is the log of the mean of fixed-point e-values.
func logMean(ns *[slopes]nats) float64 {
	var logs [slopes]float64
	for i, n := range ns {
		logs[i] = n.float()
	}
	return logSumExp(logs[:]...) - ln(slopes)
}

// side is an arm as an index.
type side uint8

const (
	ofStable side = iota
	ofCandidate
	sides
)

func (a Arms) side(version string) side {
	if version == a.Candidate {
		return ofCandidate
	}
	return ofStable
}

// load is what one pod served in a block.
type load struct {
	pod     string
	side    side
	n, slow int64
}

// addBlock adds a block's evidence to past, for high ranks of the candidate's pods
// if sign is 1, for low ones if it is -1. It reports whether pods could be
// compared. The seed is a number that depends on no outcome.
//
// Pods are alike only at equal load: a share of few requests is 0 or 1 more
// often than one of many. So every pod is thinned to the requests of the least
// busy one, at random, and the e-value is the mean over some such draws, which
// is one too.
func addBlock(past *[slopes]nats, loads []load, sign int64, seed uint64) bool {
	loads = alike(loads)
	h := candidates(loads)
	if h == 0 || h == len(loads) {
		return false
	}
	drawn := thinned(loads, seed)
	placed := make([][]tie, len(drawn))
	for i, slow := range drawn {
		placed[i] = ties(loads, slow, sign)
	}
	logs := make([]float64, len(drawn))
	for k, lambda := range slopesOf() {
		scale := places{pods: len(loads), lambda: lambda}
		for i := range placed {
			logs[i] = scale.logChance(placed[i])
		}
		all := scale.logMean(tie{n: len(loads), h: h})
		past[k] = past[k].plus(fixed(logSumExp(logs...) - ln(float64(len(logs))) - all))
	}
	return true
}

func candidates(loads []load) (h int) {
	for _, l := range loads {
		if l.side == ofCandidate {
			h++
		}
	}
	return h
}

// podsPerArm bounds a block's cost; pods beyond it, by name, are not compared.
const podsPerArm = 64

// alike leaves out pods with less than a quarter of their arm's mean load,
// which came or went within the block: they would leave little of the others.
func alike(loads []load) []load {
	var n, pods, used [sides]int64
	for _, l := range loads {
		n[l.side] += l.n
		pods[l.side]++
	}
	var kept []load
	for _, l := range loads {
		if l.n > 0 && 4*l.n*pods[l.side] >= n[l.side] && used[l.side] < podsPerArm {
			kept = append(kept, l)
			used[l.side]++
		}
	}
	return kept
}

// tie is pods with equally many slow requests: n of them, h the candidate's, from
// a place on.
type tie struct{ from, n, h int }

// ties puts pods in the order of their slow requests.
func ties(loads []load, slow []int64, sign int64) []tie {
	order := make([]int, len(loads))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(sign*slow[a], sign*slow[b]) })
	ts := make([]tie, 0, len(order))
	for place, i := range order {
		if place == 0 || slow[i] != slow[order[place-1]] {
			ts = append(ts, tie{from: place})
		}
		t := &ts[len(ts)-1]
		t.n++
		t.h += int(loads[i].side)
	}
	return ts
}

// places weighs the places that pods can have: e^(lambda u), where u runs from -1
// for the fastest to 1 for the slowest.
type places struct {
	pods   int
	lambda float64
}

func (p places) log(place int) float64 {
	return float64(p.lambda * (float64(2*place)/float64(p.pods-1) - 1))
}

// logChance is the log of the weight of the candidate's places, where ties are
// broken in all ways. Less slow requests of a candidate never make it more, and
// over all choices of pods its mean is that of one tie of all.
func (p places) logChance(ts []tie) float64 {
	sum := 0.0
	for _, t := range ts {
		if t.h > 0 {
			sum += p.logMean(t)
		}
	}
	return sum
}

// logMean is the log of the mean weight of h of the n places of a tie: an
// elementary symmetric polynomial, over the number of choices.
func (p places) logMean(t tie) float64 {
	center := float64((p.log(t.from+t.n-t.h) + p.log(t.from+t.n-1)) / 2) // of the h highest: keeps sums in range
	sums := make([]float64, t.h+1)
	sums[0] = 1
	for i := range t.n {
		w := expo(p.log(t.from+i) - center)
		for j := min(i+1, t.h); j >= 1; j-- {
			sums[j] += float64(w * sums[j-1])
		}
	}
	return ln(sums[t.h]) + float64(float64(t.h)*center) - lnChoose(t.n, t.h)
}

func lnChoose(n, k int) float64 {
	sum := 0.0
	for i := 1; i <= k; i++ {
		sum += ln(float64(n-k+i) / float64(i))
	}
	return sum
}

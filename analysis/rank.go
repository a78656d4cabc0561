package analysis

import "slices"

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
func logMean(ns []nats) float64 {
	logs := make([]float64, len(ns))
	for i, n := range ns {
		logs[i] = n.float()
	}
	return logSumExp(logs...) - ln(float64(len(ns)))
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
func addBlock(past *[slopes]nats, loads []load, sign float64, seed uint64) bool {
	loads = alike(loads)
	h := candidates(loads)
	if h == 0 || h == len(loads) {
		return false
	}
	drawn := thinned(loads, seed)
	for k, lambda := range slopesOf() {
		logs := make([]float64, len(drawn))
		for i, slow := range drawn {
			logs[i] = logRank(loads, midRanks(slow, sign), h, lambda)
		}
		past[k] = past[k].plus(fixed(logSumExp(logs...) - ln(float64(len(logs)))))
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

// midRanks spreads the pods over [-1, 1] by their slow requests; ties share the
// middle.
func midRanks(slow []int64, sign float64) []float64 {
	us := make([]float64, len(slow))
	for i, s := range slow {
		below, above := 0, 0
		for _, o := range slow {
			switch {
			case o < s:
				below++
			case o > s:
				above++
			}
		}
		us[i] = sign * float64(below-above) / float64(len(slow)-1)
	}
	return us
}

// logRank is the log e-value of the candidates' places us at one slope: the
// likelihood of this choice of h pods, over all choices of h.
func logRank(loads []load, us []float64, h int, lambda float64) float64 {
	center := topMean(us, h)
	sums := make([]float64, h+1) // elementary symmetric polynomials of e^(lambda(u-center))
	sums[0] = 1
	chosen := 0.0
	for i, u := range us {
		w := expo(lambda * (u - center))
		for j := min(i+1, h); j >= 1; j-- {
			sums[j] += float64(w * sums[j-1])
		}
		if loads[i].side == ofCandidate {
			chosen += float64(lambda * (u - center))
		}
	}
	return lnChoose(len(us), h) + chosen - ln(sums[h])
}

// topMean is the mean of the h highest places, which keeps the polynomials within
// the range of floating point.
func topMean(us []float64, h int) float64 {
	sorted := slices.Clone(us)
	slices.Sort(sorted)
	sum := 0.0
	for _, u := range sorted[len(sorted)-h:] {
		sum += u
	}
	return sum / float64(h)
}

func lnChoose(n, k int) float64 {
	sum := 0.0
	for i := 1; i <= k; i++ {
		sum += ln(float64(n-k+i) / float64(i))
	}
	return sum
}

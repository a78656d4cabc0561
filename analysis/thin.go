package analysis

// draws is the number of times that a block's loads are thinned.
const draws = 8

// thinned gives, for each draw, the slow requests left to each pod of as many
// requests as the least busy pod served. Equal loads need no chance.
func thinned(loads []load, seed uint64) [][]int64 {
	least := loads[0].n
	equal := true
	for _, l := range loads {
		equal = equal && l.n == least
		least = min(least, l.n)
	}
	n := draws
	if equal {
		n = 1
	}
	slow := make([][]int64, n)
	for d := range slow {
		slow[d] = make([]int64, len(loads))
	}
	for i, l := range loads {
		l.thin(least, seed, func(d int, left int64) { slow[d][i] = left }, n)
	}
	return slow
}

// thin draws how many of l's slow requests are among some of its requests. Equal
// seeds draw at equal places of the distribution, so a further fast request never
// leaves more slow ones.
func (l load) thin(requests int64, seed uint64, set func(draw int, left int64), n int) {
	if l.n == requests {
		for d := range n {
			set(d, l.slow)
		}
		return
	}
	least := max(0, requests-(l.n-l.slow))
	cumulative := l.chances(requests)
	name := spelled(fnvOffset, l.pod)
	for d := range n {
		u := unit(seed ^ name + uint64(d)*0x9e3779b97f4a7c15)
		left := least
		for _, c := range cumulative {
			if u < c {
				break
			}
			left++
		}
		set(d, min(left, least+int64(len(cumulative))-1))
	}
}

// chances is the cumulative hypergeometric distribution of the slow requests
// among some, from the least possible up.
func (l load) chances(requests int64) []float64 {
	least, most := max(0, requests-(l.n-l.slow)), min(l.slow, requests)
	logs := make([]float64, most-least+1)
	for i := range logs[1:] {
		y := least + int64(i)
		up := float64((l.slow-y)*(requests-y)) / float64((y+1)*(l.n-l.slow-requests+y+1))
		logs[i+1] = logs[i] + ln(up)
	}
	total := logSumExp(logs...)
	sum := 0.0
	for i, x := range logs {
		sum += expo(x - total)
		logs[i] = sum
	}
	return logs
}

// unit hashes a seed to [0, 1). source: Steele, Lea and Flood 2014 (SplitMix64).
func unit(seed uint64) float64 {
	return float64(stirred(seed+0x9e3779b97f4a7c15)>>11) / (1 << 53)
}

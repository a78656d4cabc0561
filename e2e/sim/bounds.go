package main

import "math"

// bounds is the two-sided 95% confidence interval of a share of which k in n were
// seen. source: Clopper and Pearson, 1934.
func bounds(k, n int) (low, high float64) {
	const tail = 0.025
	low, high = 0, 1
	if k > 0 {
		low = root(func(p float64) bool { return 1-atMost(k-1, n, p) >= tail })
	}
	if k < n {
		high = root(func(p float64) bool { return atMost(k, n, p) <= tail })
	}
	return low, high
}

// root is the least p in [0, 1] from which a monotone condition holds.
func root(holds func(float64) bool) float64 {
	low, high := 0.0, 1.0
	for range 60 {
		if mid := (low + high) / 2; holds(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// atMost is the chance of at most k of n, each of chance p.
func atMost(k, n int, p float64) float64 {
	switch p {
	case 0:
		return 1
	case 1:
		return 0
	}
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(choose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// choose is the log of the binomial coefficient.
func choose(n, k int) float64 {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	return lg(n) - lg(k) - lg(n-k)
}

package analysis

import "time"

const (
	// LogDelay is how long after its end an entry may arrive and still count in the
	// window of its start: Envoy's 50 ms of buffering, and the way. source:
	// measured, P99 65 ms, at most 108 ms.
	LogDelay = 150 * time.Millisecond

	shortestAge = 100 * time.Millisecond
	longestAge  = 10 * time.Second
	unknownAge  = time.Second // nothing is known of stable yet

	// shortestPatience keeps what is only slow exactly known.
	shortestPatience = 5 * time.Second
)

// Age is when the outcome of a request is judged, counted from its start: about
// twice stable's p99.9, at least 100 ms and at most limit, the policy's latency
// limit (0: 10 s). It is chosen from stable's past, and given to windows that have
// not opened yet; then fast failures are not counted before slow successes.
// Without a past it is 1 s, or limit. Any age is valid; a short one only counts
// more requests as Window.Late.
func Age(stable Buckets, limit time.Duration) time.Duration {
	if limit <= 0 {
		limit = longestAge
	}
	if len(stable) == 0 {
		return min(unknownAge, limit)
	}
	p := min(stable.Quantile(0.999), limit) // before doubling: the last edge is the longest Duration
	return min(max(2*p, shortestAge), limit)
}

// Patience is for how long a request may wait for its answer's first byte before it is
// judged by that: about twice stable's p99.9, at least limit, and 5 s, so that it is
// slower than whatever it may be compared with. Without a past it is 0: without end.
func Patience(stable Buckets, limit time.Duration) time.Duration {
	if len(stable) == 0 {
		return 0
	}
	return max(2*stable.Quantile(0.999), limit, shortestPatience)
}

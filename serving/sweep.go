package serving

import "time"

// Sweep is a warm-up that runs batches of different sizes, outside the queue, to
// find the one that gives the best rate. A line through the times (Cost) cannot
// see that a device is slower per item with large batches. The zero Sweep is
// empty.
type Sweep struct{ fastest map[int]time.Duration }

// Sizes are the batch sizes worth trying up to limit, ascending: every small
// one, then each about a half larger than the one before; or the given ones, if
// the device runs no others.
func (Sweep) Sizes(limit int, fixed []int) []int {
	if len(fixed) > 0 {
		return fixed
	}
	var sizes []int
	for size := 1; size < limit; size += max(1, size/2) {
		sizes = append(sizes, size)
	}
	return append(sizes, limit)
}

// Observe notes a run. The fastest of a size counts: others were disturbed.
func (s *Sweep) Observe(size int, took time.Duration) {
	if s.fastest == nil {
		s.fastest = map[int]time.Duration{}
	}
	if before, ok := s.fastest[size]; !ok || took < before {
		s.fastest[size] = took
	}
}

// Best is the size with the best rate, the smallest of equals; limit while
// nothing was observed.
func (s *Sweep) Best(limit int) int {
	best, each := limit, time.Duration(0)
	for size, took := range s.fastest {
		rate := took / time.Duration(size) // of an item
		if each == 0 || rate < each || rate == each && size < best {
			best, each = size, rate
		}
	}
	return best
}

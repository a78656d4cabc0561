package analysis

import "time"

// memory is how long what was seen lately counts, on average.
const memory = 2 * time.Minute

// fadeUnit is one request in a fade's fixed point.
const fadeUnit = 256

// fade is a rate that forgets: at the end of each block a part is taken away.
// It is integers, so any machine forgets alike.
type fade rate

func (f *fade) add(r rate) {
	f.N += r.N * fadeUnit
	f.Bad += r.Bad * fadeUnit
}

func (f *fade) decay(block int64) {
	f.N = faded(f.N, block)
	f.Bad = faded(f.Bad, block)
}

// faded is what is left of n after a block of so many windows.
func faded(n, block int64) int64 {
	life := max(2, int64(memory/WindowLength)/block)
	return n - (n+life-1)/life
}

// rate is what is remembered, in whole requests.
func (f fade) rate() rate { return rate{N: f.N / fadeUnit, Bad: f.Bad / fadeUnit} }

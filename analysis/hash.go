package analysis

// hashOf is 64 bits of a name, as good as drawn at random.
func hashOf(name string) uint64 { return stirred(spelled(fnvOffset, name)) }

const (
	fnvOffset = uint64(14695981039346656037)
	fnvPrime  = 1099511628211
)

// spelled takes a name into a hash that has begun. source: Fowler, Noll and Vo (FNV-1a),
// by hand, for hash/fnv takes an allocation a request.
func spelled(h uint64, name string) uint64 {
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * fnvPrime
	}
	return h
}

// stirred lets every bit of z depend on all of them. source: Steele, Lea and Flood 2014
// (SplitMix64).
func stirred(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

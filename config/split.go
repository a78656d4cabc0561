package config

import "slices"

// WholeSplit is what the shares of every split sum to.
const WholeSplit = 10000

// Split is what one inference route does with a request now: who gets which
// share, and what is mirrored. It is the only thing that changes while a rollout
// runs, and a change of it never edits a cluster.
type Split struct {
	// Epoch grows with each published split of an inference route, is saved before
	// it is used, and is never reused. It is stamped on what served each request.
	Epoch uint64 `json:"epoch"`

	// Shares lists versions in interval order and sums to WholeSplit. Stable may be
	// listed twice, so that the candidate's interval starts at an offset.
	Shares []Share `json:"shares"`

	// Mirror copies a share of live requests to a version whose answers are thrown
	// away. A zero Weight mirrors nothing.
	Mirror Share `json:"mirror,omitzero"`

	// Repeat copies the same requests, no others, to the version that answers them, so
	// that its answers can be read, or it is known how they differ among themselves. Its
	// weight is Mirror's; a zero one repeats nothing.
	Repeat Share `json:"repeat,omitzero"`
}

// Share gives a version a part of the traffic.
type Share struct {
	Version string `json:"version"`
	Weight  uint32 `json:"weight"` // basis points
}

// Weight sums the shares of a version, in basis points.
func (s Split) Weight(version string) uint32 {
	var w uint32
	for _, share := range s.Shares {
		if share.Version == version {
			w += share.Weight
		}
	}
	return w
}

// Whole gives everything to one version.
func Whole(version string) []Share { return []Share{{Version: version, Weight: WholeSplit}} }

// Rotate moves every interval up by offset basis points, round the end. Another
// offset gives each version other requests (or units), and as many.
func Rotate(shares []Share, offset uint32) []Share {
	var low, high []Share // of the end that comes first now, and of the rest
	at := uint32(WholeSplit) - offset%WholeSplit
	for _, share := range shares {
		before := min(share.Weight, at)
		at -= before
		high = append(high, Share{Version: share.Version, Weight: before})
		low = append(low, Share{Version: share.Version, Weight: share.Weight - before})
	}
	return slices.DeleteFunc(append(low, high...), func(s Share) bool { return s.Weight == 0 })
}

// Carve gives candidate a share of weight basis points starting at offset, and
// stable the rest on both sides. For a fixed offset a growing weight only adds
// requests (or users) to the candidate. The interval wraps round the end.
func Carve(stable, candidate string, weight, offset uint32) []Share {
	weight = min(weight, WholeSplit)
	offset %= WholeSplit
	switch {
	case weight == 0:
		return Whole(stable)
	case weight == WholeSplit:
		return Whole(candidate)
	}
	var shares []Share
	add := func(version string, w uint32) {
		if w > 0 {
			shares = append(shares, Share{Version: version, Weight: w})
		}
	}
	if end := offset + weight; end > WholeSplit {
		add(candidate, end-WholeSplit)
		add(stable, WholeSplit-weight)
		add(candidate, WholeSplit-offset)
	} else {
		add(stable, offset)
		add(candidate, weight)
		add(stable, WholeSplit-end)
	}
	return shares
}

package analysis

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// recent is a latency histogram that forgets as a fade does; its counts are in
// fadeUnits. It is saved as a flat list of indexes and counts, being most of what
// evidence is.
type recent Buckets

func (r *recent) add(b Buckets) {
	for _, bucket := range b {
		(*Buckets)(r).add(Bucket{Index: bucket.Index, Count: bucket.Count * fadeUnit})
	}
}

func (r *recent) decay(block int64) {
	left := (*r)[:0]
	for _, c := range *r {
		if n := faded(int64(c.Count), block); n > 0 {
			left = append(left, Bucket{Index: c.Index, Count: uint32(n)})
		}
	}
	*r = left
}

func (r recent) quantile(q float64) time.Duration { return Buckets(r).Quantile(q) }

// MarshalJSON writes [index, count, index, count, …].
func (r recent) MarshalJSON() ([]byte, error) {
	flat := make([]uint32, 0, 2*len(r))
	for _, b := range r {
		flat = append(flat, uint32(b.Index), b.Count)
	}
	return json.Marshal(flat)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *recent) UnmarshalJSON(text []byte) error {
	var flat []uint32
	if err := json.Unmarshal(text, &flat); err != nil {
		return err
	}
	if len(flat)%2 != 0 {
		return fmt.Errorf("latencies: want pairs of index and count, found %d numbers", len(flat))
	}
	*r = nil
	for pair := range slices.Chunk(flat, 2) {
		*r = append(*r, Bucket{Index: uint16(pair[0]), Count: pair[1]})
	}
	return nil
}

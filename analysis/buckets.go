package analysis

// Buckets is a sparse latency histogram on a fixed logarithmic grid. Its counts
// are exact and merge by addition; binning costs a test at a bucket's edge no
// validity. Sorted by index.
type Buckets []Bucket

// Bucket counts latencies in (Edge(Index-1), Edge(Index)].
type Bucket struct {
	Index uint16 `json:"i"`
	Count uint32 `json:"n"`
}

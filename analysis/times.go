package analysis

import "github.com/sluice-dev/sluice/config"

// Times are how long requests took, in each way that is judged.
type Times struct {
	// Latencies are of Succeeded and TimedOut requests, the latter in the last bucket, of
	// Abandoned ones whose client waited for longer than the age, and of any that waited for
	// longer than the patience: the last two took longer than is counted.
	Latencies Buckets
	// FirstBytes are times to the first byte of the same requests, of those that run and of
	// all Abandoned ones that had it, as far as known, each counted once; a time-out without
	// one is in the last bucket.
	FirstBytes Buckets
	// PerToken are times per token of answers that came whole, as far as known.
	PerToken Buckets
}

// times are those that a metric judges.
func (t *Times) times(of config.MetricName) Buckets {
	if of == config.MetricTTFB {
		return t.FirstBytes
	}
	if of == config.MetricTPOT {
		return t.PerToken
	}
	return t.Latencies
}

// merge keeps no reference to o.
func (t *Times) merge(o Times) {
	t.Latencies.Merge(o.Latencies)
	t.FirstBytes.Merge(o.FirstBytes)
	t.PerToken.Merge(o.PerToken)
}

// end adds a request with an outcome. One that failed took no time that means
// anything; a time-out is slower than anything.
func (t *Times) end(r Request) {
	switch {
	case r.Outcome == Failed:
		return
	case r.Outcome == TimedOut:
		t.Latencies.AddIndex(LastBucket)
	default:
		t.Latencies.Add(r.Duration)
		if r.PerToken > 0 {
			t.PerToken.Add(r.PerToken)
		}
	}
	switch {
	case r.Told:
	case r.FirstByte > 0:
		t.FirstBytes.Add(r.FirstByte)
	case r.Outcome == TimedOut:
		t.FirstBytes.AddIndex(LastBucket)
	}
}

// begin adds the first byte of a request that runs, or whose client left after it.
func (t *Times) begin(r Request) {
	if !r.Told {
		t.FirstBytes.Add(r.FirstByte)
	}
}

// outlast adds a request that waited, or whose client did, after it was due to be judged:
// its answer came too late for that. Otherwise a version that hangs would look like one that
// nobody asks, as long as its users lose patience before a time-out does.
func (t *Times) outlast(r Request) {
	t.Latencies.Add(r.Duration)
	if r.FirstByte == 0 {
		t.FirstBytes.Add(r.Duration)
	}
}

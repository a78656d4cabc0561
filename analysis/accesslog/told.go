package accesslog

import (
	"sync"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// told remembers whose first byte was told while they ran, of all streams of a proxy:
// after a stream broke off, entries of attempts that it told of come over another. No
// first byte may count twice, so one that may have been told is not told again:
//
//   - While the memory is full, no more are told: theirs count when they end.
//   - Of what was forgotten to make room, and yet comes, none counts any more.
//   - After a restart nothing is remembered, and what began before it is of no window
//     (analysis.NewBins). Where the proxy's clock is ahead, a first byte of as long
//     before the restart may be told twice.
type told struct {
	mu     sync.Mutex
	since  map[attemptKey]time.Time // when an entry of it came last, by our clock
	lost   time.Time                // of what was forgotten, the latest start
	swept  time.Time                // when it last looked for what is stale
	open   int                      // streams
	closed time.Time                // when the last one was
}

// attemptKey tells attempts apart: clients may repeat a request's id.
type attemptKey struct {
	id    string
	start int64 // Unix time in nanoseconds
}

const (
	// mostTold bounds what is remembered of a proxy.
	mostTold = 1 << 16
	// stale is how long after its last entry an attempt that runs is taken for gone, if
	// there is no room: they come every second.
	stale = time.Minute
	// briefest is below the time after which Envoy first tells of an attempt that runs:
	// shorter ones were not told. source: xds, upstream_log_flush_interval.
	briefest = 500 * time.Millisecond
)

func newTold() *told { return &told{since: map[attemptKey]time.Time{}} }

func keyOf(r *analysis.Request) attemptKey { return attemptKey{r.ID, r.Start.UnixNano()} }

// tellable says whether an attempt is told of while it runs: only that of a live first
// one is evidence. Its copy has the same id, and may start at the same time.
func tellable(r *analysis.Request) bool {
	return r.FirstByte > 0 && r.ID != "" && r.Attempt == 1 && !r.Shadow && !r.Pinned
}

// running takes an attempt that runs and whose answer has begun. It says whether that is
// to be told.
func (t *told) running(now time.Time, r *analysis.Request) bool {
	if !tellable(r) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := keyOf(r)
	_, known := t.since[key]
	if !known && (t.full(now) || !r.Start.After(t.lost)) {
		return false
	}
	t.since[key] = now
	return !known
}

// full says whether there is no room, when it has forgotten what is stale: once a
// second at most, for it looks at all.
func (t *told) full(now time.Time) bool {
	if len(t.since) < mostTold || now.Sub(t.swept) < time.Second {
		return len(t.since) >= mostTold
	}
	t.swept = now
	for key, last := range t.since {
		if start := time.Unix(0, key.start); now.Sub(last) > stale {
			delete(t.since, key)
			if start.After(t.lost) {
				t.lost = start
			}
		}
	}
	return len(t.since) >= mostTold
}

// ended takes an attempt that has ended. It says whether its first byte was told, or may
// have been.
func (t *told) ended(r *analysis.Request) bool {
	if r.Duration < briefest || !tellable(r) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := keyOf(r)
	_, known := t.since[key]
	delete(t.since, key)
	return known || !r.Start.After(t.lost)
}

// memories are what is told, by proxy.
type memories struct {
	mu sync.Mutex
	of map[string]*told
}

// absent is how long after its last stream a proxy is forgotten.
const absent = 10 * time.Minute

// open gives the memory of a proxy to one more of its streams.
func (m *memories) open(now time.Time, proxy string) *told {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, t := range m.of {
		if p != proxy && t.open == 0 && now.Sub(t.closed) > absent {
			delete(m.of, p)
		}
	}
	t := m.of[proxy]
	if t == nil {
		t = newTold()
		m.of[proxy] = t
	}
	t.open++
	return t
}

// close takes back what open gave.
func (m *memories) close(now time.Time, t *told) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.open--
	t.closed = now
}

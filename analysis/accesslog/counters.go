package accesslog

import "sync/atomic"

// Counts says what a Server has taken since it was made. Each entry is left out, or
// malformed for one reason, or becomes a request in the end.
type Counts struct {
	Streams  int64 // access-log streams open now
	Messages uint64
	Entries  uint64
	Requests uint64
	Running  uint64 // of Requests: told once more, or several times, while they ran
	Reports  uint64 // load reports

	// LeftOut are entries that tell of no request of their own: of a request whose
	// attempts have entries, of one under way, or of one that no version was chosen for.
	LeftOut uint64
	// Malformed are entries without what attribution needs, by what that is.
	Malformed map[string]uint64
}

// Counts reads the counters. Streams that are busy meanwhile may tear them apart
// by a message.
func (s *Server) Counts() Counts {
	c := Counts{
		Streams:   s.counters.streams.Load(),
		Messages:  s.counters.messages.Load(),
		Entries:   s.counters.entries.Load(),
		Requests:  s.counters.requests.Load(),
		Running:   s.counters.running.Load(),
		Reports:   s.counters.reports.Load(),
		LeftOut:   s.counters.left[leftOut].Load(),
		Malformed: map[string]uint64{},
	}
	for what := noCluster; what < results; what++ {
		if n := s.counters.left[what].Load(); n > 0 {
			c.Malformed[what.String()] = n
		}
	}
	return c
}

// counters are added to by every stream.
type counters struct {
	streams                              atomic.Int64
	messages, entries, requests, reports atomic.Uint64
	running                              atomic.Uint64

	left [results]atomic.Uint64 // entries that became no request
}

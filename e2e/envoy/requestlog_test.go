package envoy

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// requestLog is a Sink that hands requests on as they are.
type requestLog struct {
	s     *Stage
	ready chan analysis.Request
	taken []analysis.Request
}

// requests has the stage's requests told.
func (s *Stage) requests() *requestLog {
	s.t.Helper()
	l := &requestLog{s: s, ready: make(chan analysis.Request, 64)}
	s.tell(l)
	return l
}

// next is the request that is told of next.
func (l *requestLog) next() analysis.Request {
	l.s.t.Helper()
	select {
	case r := <-l.ready:
		l.taken = append(l.taken, r)
		return r
	case <-time.After(patience):
		l.s.t.Fatalf("no request is told of within %v; those before: %+v", patience, l.taken)
		return analysis.Request{}
	}
}

func (l *requestLog) Observe(_ string, requests []analysis.Request) {
	for _, r := range requests {
		l.ready <- r
	}
}

func (*requestLog) Report(string, []analysis.Load) {}

func (*requestLog) Stream(string, bool) {}

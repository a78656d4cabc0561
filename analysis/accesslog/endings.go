package accesslog

import (
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// endings joins attempts that were cut off with the entry of their whole request,
// which alone says why: the attempt's own entry is the same whether the client left
// (DC, DR), was too slow itself (408), or the route's time-out passed (UT). Both
// entries come over one stream within the same flush, or the next, in either order,
// with the same request id.
type endings struct {
	message uint64
	waiting map[string]attemptAt // by request id
	left    map[string]leftAt    // requests whose client left, by id
}

type attemptAt struct {
	request analysis.Request
	message uint64
}

type leftAt struct {
	end     time.Time
	message uint64
}

const (
	// patience is how many further messages a cut-off attempt waits for its request.
	patience = 2
	// together is how far apart a request and the attempt that it cut off may end.
	together = 20 * time.Millisecond
)

func newEndings() endings {
	return endings{waiting: map[string]attemptAt{}, left: map[string]leftAt{}}
}

// attempt takes an attempt that was cut off. A mirrored one does not wait: nothing
// but its time-out ends it, unless the client left while the request was sent.
func (e *endings) attempt(r analysis.Request) (analysis.Request, result) {
	id := r.ID
	if left, ok := e.left[id]; ok && r.End().Before(left.end.Add(together)) {
		r.Outcome = analysis.Abandoned
		return r, attributed
	}
	r.Outcome = analysis.TimedOut
	if id == "" || r.Shadow || len(e.waiting) >= remembered {
		return r, attributed
	}
	e.waiting[id] = attemptAt{r, e.message}
	return r, unended
}

// request takes the end of a request that had attempts, and gives back the one
// that waited for it.
func (e *endings) request(from *entry) (analysis.Request, result) {
	left := from.flags.Any(analysis.FlagsLeft)
	a, waited := e.waiting[string(from.requestID)]
	switch {
	case waited && left:
		a.request.Outcome = analysis.Abandoned
	case waited && from.code == requestTimeout:
		a.request.Outcome = analysis.ClientFault
	case left && len(from.requestID) > 0:
		remember(e.left, string(from.requestID), leftAt{from.start.Add(from.duration), e.message})
	}
	if !waited {
		return analysis.Request{}, leftOut
	}
	delete(e.waiting, string(from.requestID))
	return a.request, attributed
}

// requestTimeout is Envoy's answer to a client that is too slow with its request.
const requestTimeout = 408

// next begins a message. It appends the attempts that have waited long enough:
// nothing says that their client left.
func (e *endings) next(requests []analysis.Request) []analysis.Request {
	e.message++
	maps.DeleteFunc(e.left, func(_ string, at leftAt) bool { return at.message+patience < e.message })
	return e.resolve(requests, e.message-min(e.message, patience+1))
}

// resolve appends the attempts that wait since the given message or longer.
func (e *endings) resolve(requests []analysis.Request, message uint64) []analysis.Request {
	first := len(requests)
	for id, a := range e.waiting {
		if a.message <= message {
			delete(e.waiting, id)
			requests = append(requests, a.request)
		}
	}
	slices.SortFunc(requests[first:], func(a, b analysis.Request) int { return a.End().Compare(b.End()) })
	return requests
}

// rest appends what still waits when the stream ends.
func (e *endings) rest(requests []analysis.Request) []analysis.Request {
	return e.resolve(requests, e.message)
}

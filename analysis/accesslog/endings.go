package accesslog

import (
	"maps"
	"slices"

	"github.com/sluice-dev/sluice/analysis"
)

// endings joins attempts that were cut off with the entry of their whole request,
// which alone says why: the attempt's own entry is the same whether the client left
// (DC, DR) or the route's time-out passed (UT). Both entries come over one stream
// within the same flush, or the next, in either order, with the same request id.
type endings struct {
	message uint64
	waiting map[string]attemptAt // by request id
	left    map[string]uint64    // requests whose client left, by id: the message that said so
}

type attemptAt struct {
	request analysis.Request
	message uint64
}

// patience is how many further messages a cut-off attempt waits for its request.
const patience = 2

func newEndings() endings {
	return endings{waiting: map[string]attemptAt{}, left: map[string]uint64{}}
}

// attempt takes an attempt that was cut off. A mirrored one does not wait: its
// request was answered long before, unless its client left while it was sent.
func (e *endings) attempt(id string, r analysis.Request) (analysis.Request, result) {
	if _, left := e.left[id]; left {
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
func (e *endings) request(id string, left bool) (analysis.Request, result) {
	a, waited := e.waiting[id]
	switch {
	case waited:
		delete(e.waiting, id)
		if left {
			a.request.Outcome = analysis.Abandoned
		}
		return a.request, attributed
	case left && id != "":
		remember(e.left, id, e.message)
	}
	return analysis.Request{}, leftOut
}

// next begins a message. It appends the attempts that have waited long enough:
// nothing says that their client left.
func (e *endings) next(requests []analysis.Request) []analysis.Request {
	e.message++
	maps.DeleteFunc(e.left, func(_ string, message uint64) bool { return message+patience < e.message })
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

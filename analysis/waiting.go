package analysis

import (
	"cmp"
	"slices"
	"time"
)

// waitings are attempts of which something was counted while they waited for the first
// byte of their answers, so that it is not counted a second time when they end. Sorted
// by start: they are saved in an order that chance has no part in.
type waitings []waited

// waited is one of them.
type waited struct {
	Start int64  `json:"start"` // Unix time in nanoseconds
	ID    uint64 `json:"id"`    // hash of the version and the request's id, which a copy shares
	Last  int64  `json:"last"`  // second until which it was heard of
	Since int64  `json:"since"` // second in which something of it was first counted, as the owner counts them
	Marks marks  `json:"marks"`
}

// marks say what was counted; what each bit means is the owner's affair.
type marks uint8

const (
	// waitingsKept bounds how many are remembered. While there is no room, the others count
	// when they end.
	waitingsKept = 1 << 14
	// waitingLost is how many seconds after one was last heard of its end is expected no
	// more: proxies tell of it every second.
	waitingLost = 60
	// briefestWait is below what proxies first tell of: after a second.
	briefestWait = 500 * time.Millisecond
)

func waitedOf(r Request) waited {
	return waited{Start: r.Start.UnixNano(), ID: stirred(spelled(spelled(fnvOffset, r.Version), r.ID)), Last: r.End().Unix()}
}

func (ws waitings) find(w waited) (int, bool) {
	return slices.BinarySearchFunc(ws, w, func(a, b waited) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
	})
}

// of is what is remembered of a request; nothing of most.
func (ws waitings) of(r Request) (waited, bool) {
	if len(ws) == 0 || r.ID == "" || r.Duration < briefestWait {
		return waited{}, false
	}
	at, found := ws.find(waitedOf(r))
	if !found {
		return waited{}, false
	}
	return ws[at], true
}

// mark adds marks to one that waits, and gives those that are new: none where there is no
// room. now is for Since.
func (ws *waitings) mark(r Request, m marks, now int64) (fresh marks) {
	w := waitedOf(r)
	at, found := ws.find(w)
	switch {
	case found:
		is := &(*ws)[at]
		fresh = m &^ is.Marks
		is.Last, is.Marks = max(is.Last, w.Last), is.Marks|m
		return fresh
	case m == 0 || r.ID == "" || !ws.room(w.Last):
		return 0
	}
	at, _ = ws.find(w) // making room may have moved it
	w.Since, w.Marks = now, m
	*ws = slices.Insert(*ws, at, w)
	return m
}

// room forgets, where it is full, those whose end is expected no more.
func (ws *waitings) room(now int64) bool {
	if len(*ws) < waitingsKept {
		return true
	}
	*ws = slices.DeleteFunc(*ws, func(w waited) bool { return now-w.Last > waitingLost })
	return len(*ws) < waitingsKept
}

// end gives what is remembered of a request that has ended, and forgets it.
func (ws *waitings) end(r Request) (waited, bool) {
	was, known := ws.of(r)
	if known {
		at, _ := ws.find(was)
		*ws = slices.Delete(*ws, at, at+1)
	}
	return was, known
}

package world

// kind of an internal event.
type kind uint8

const (
	arrival    kind = iota // a user's request
	completion             // the last byte of an answer, live or mirrored
	beat                   // an answer of which no byte has come is told of once more
	flush                  // a proxy's log buffer arrives at the control plane
	apply                  // a split takes effect at a proxy
	ack                    // a proxy's ack arrives
	report                 // load reports arrive
	tick
)

type event struct {
	at    int64  // ns
	seq   uint64 // breaks ties in order of pushing
	proxy int32
	slot  int32
	kind  kind
}

func (e event) before(o event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// queue is a binary heap of events without interfaces: it is the inner loop.
type queue struct {
	events []event
	seq    uint64
}

func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.events = append(q.events, e)
	i := len(q.events) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(q.events[parent]) {
			break
		}
		q.events[i] = q.events[parent]
		i = parent
	}
	q.events[i] = e
}

func (q *queue) pop() event {
	top := q.events[0]
	last := q.events[len(q.events)-1]
	q.events = q.events[:len(q.events)-1]
	n := len(q.events)
	if n == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && q.events[child+1].before(q.events[child]) {
			child++
		}
		if !q.events[child].before(last) {
			break
		}
		q.events[i] = q.events[child]
		i = child
	}
	q.events[i] = last
	return top
}

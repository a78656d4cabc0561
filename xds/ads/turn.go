package ads

import "time"

const (
	// roomy is how many bytes may be on their way to a proxy without an answer, so
	// that one more write to its stream still does not block: half of what gRPC
	// takes before it does. A response that has more is large.
	roomy = 32 << 10
	// atOnce is how many proxies may be sent something large at the same time. The
	// others wait for their turn, so that thousands that come at once, with nothing,
	// cost a bounded memory, and neither them nor those that are there a time-out.
	atOnce = 32
)

// turns says who is being sent something large, since when, and who waits for it.
// The Server's lock guards it.
type turns struct {
	taken map[*watch]time.Time
	queue []*watch
}

// wait has w wait for its turn if it needs one and there is none left.
func (t *turns) wait(w *watch, size int, now time.Time) bool {
	if size <= roomy {
		return false
	}
	if _, has := t.taken[w]; !has && len(t.taken) >= atOnce {
		w.queued = true
		t.queue = append(t.queue, w)
		return true
	}
	t.taken[w] = now
	return false
}

// next takes the first of the queue whose turn it is. Nil: nobody's.
func (t *turns) next() *watch {
	for len(t.queue) > 0 && len(t.taken) < atOnce {
		w := t.queue[0]
		t.queue = t.queue[1:]
		w.queued = false
		if !w.session.gone {
			return w
		}
	}
	return nil
}

// expire ends the turns of proxies that do not answer, and says when to look
// again.
func (t *turns) expire(now time.Time, timeout time.Duration) (due time.Time) {
	for w, since := range t.taken {
		at := since.Add(timeout)
		if now.Before(at) {
			due = earlier(due, at)
			continue
		}
		delete(t.taken, w)
	}
	return due
}

// fit cuts what is not a whole list to what is not large. The rest follows when the
// proxy has answered.
func (w *watch) fit(set []*entry) []*entry {
	if w.listed() || !w.session.incremental {
		return set
	}
	size := 0
	for i, e := range set {
		size += len(e.increment)
		if size > roomy && i > 0 {
			w.more = true
			return set[:i]
		}
	}
	return set
}

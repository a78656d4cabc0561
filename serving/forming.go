package serving

import "time"

// form takes the next batch out of the queue: requests in order of rank that
// share the first one's key, as many as the knee of the cost and the tightest
// deadline allow. It never comes back empty.
func (b *Batcher) form(now time.Time) (Batch, []Dropped) {
	var dropped []Dropped
	chosen := b.choose()
	for len(chosen) > 1 && !b.inTime(now, chosen) {
		fewer, i := b.shrink(now, chosen), b.tightest(chosen)
		if b.costly(sum(b.queue, fewer), sum(b.queue, chosen), b.queue[i].Items) {
			dropped = append(dropped, Dropped{b.queue[i].ID, Expired})
			b.remove(i)
			chosen = b.choose()
			continue
		}
		chosen = fewer
	}
	return b.take(now, chosen), dropped
}

// choose lists positions in the queue: the first request and those after it
// that fit with it.
func (b *Batcher) choose() []int {
	first := b.queue[0]
	limit := b.knee(first.Key, b.items)
	chosen, items := []int{0}, first.Items
	for i := 1; i < len(b.queue) && items < limit; i++ {
		w := b.queue[i]
		if w.Key != first.Key {
			continue
		}
		if items+w.Items > limit {
			break // not past it: requests of one rank keep their order
		}
		chosen, items = append(chosen, i), items+w.Items
	}
	return chosen
}

// knee is the largest batch worth forming while so many items wait: the cost's
// knee, its crest where a batch and a half do. A size that is run anyway is
// filled.
func (b *Batcher) knee(key string, waiting int) int {
	cost := b.costs.of(key)
	knee := cost.Knee(b.cap)
	if 2*waiting > 3*knee {
		knee = cost.Crest(b.cap)
	}
	return b.rows(knee)
}

// inTime says whether every chosen request is answered by its deadline.
func (b *Batcher) inTime(now time.Time, chosen []int) bool {
	i := b.tightest(chosen)
	if i < 0 {
		return true
	}
	items := sum(b.queue, chosen)
	end := b.starts(now, b.rows(items)).Add(b.lasts(b.queue[i].Key, items))
	return !end.After(b.queue[i].Deadline)
}

// tightest is the position of the chosen request with the first deadline, -1
// if none has one.
func (b *Batcher) tightest(chosen []int) int {
	first := -1
	for _, i := range chosen {
		d := b.queue[i].Deadline
		if !d.IsZero() && (first < 0 || d.Before(b.queue[first].Deadline)) {
			first = i
		}
	}
	return first
}

// shrink leaves requests out from the end until the rest are in time.
func (b *Batcher) shrink(now time.Time, chosen []int) []int {
	for len(chosen) > 1 && !b.inTime(now, chosen) {
		chosen = chosen[:len(chosen)-1]
	}
	return chosen
}

// costly says whether running fewer items instead of more would lose more items
// than the most urgent request has, while others wait besides: then
// it is better to lose that one than to fall behind for all (Nexus, SOSP 2019).
func (b *Batcher) costly(fewer, more, urgent int) bool {
	if b.items <= more {
		return false
	}
	cost := &b.costs.device
	meanwhile := float64(fewer) * float64(cost.Predict(b.rows(more))) / float64(cost.Predict(b.rows(fewer)))
	return float64(more)-meanwhile > float64(urgent)
}

// take removes the chosen positions from the queue and launches them.
func (b *Batcher) take(now time.Time, chosen []int) Batch {
	b.started++
	items := sum(b.queue, chosen)
	batch := Batch{ID: b.started, Requests: make([]Request, len(chosen)), Items: items, Rows: b.rows(items)}
	requests := make([]*waiting, len(chosen))
	for n := len(chosen) - 1; n >= 0; n-- {
		w := b.queue[chosen[n]]
		batch.Requests[n], requests[n] = w.Request, w
		b.remove(chosen[n])
	}
	b.launch(now, batch, requests)
	return batch
}

func sum(queue []*waiting, chosen []int) int {
	items := 0
	for _, i := range chosen {
		items += queue[i].Items
	}
	return items
}
